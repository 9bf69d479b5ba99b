"""Errors to problem+json (RFC 9457), once. `type` is a stable word to decide by; `title` and `detail` are for people."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.exceptions import HTTPException

from shoal.api.context import rooms_of
from shoal.errors import Conflict, DeviceFault, Forbidden, Gone, NotFound, Outdated, Rejected, TooMany, Unavailable
from shoal.http_exchange import REQUEST_ID, request_id
from shoal.identity.login import TooManyAttempts, Unauthenticated
from shoal.ids import MistypedId

log: Final = logging.getLogger("shoal.api")

MEDIA_TYPE: Final = "application/problem+json"
# A neighbour that is away is asked again by us every few seconds, too.
RETRY_AFTER_S: Final = 5
# Wrong fields that are told at once; a body of nonsense has thousands.
ERRORS_TOLD_MAX: Final = 20

# What the framework says by status only.
_KINDS: Final = {
    400: "invalid",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
}


class Problem(BaseModel):
    """What went wrong (RFC 9457). More members say more, by type: `errors`, `did_you_mean`, `code`, `command`."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="a stable word", examples=["not-found"])
    title: str
    status: int
    detail: str | None = None
    request: str | None = Field(None, description="the answer's `X-Request-Id`; our logs name it, too")


class NoAnswer(DeviceFault):
    """A device that should be awake did not answer in time. `command` may still be answered."""

    def __init__(self, device: str, operation: str, command: str, detail: str = "") -> None:
        super().__init__(device, operation, None, detail)
        self.command = command


def install(application: FastAPI, note: Callable[[Request, Rejected], None] | None = None) -> None:
    """Teaches the application how each kind of error looks on the wire. `note` is told first what callers did wrong."""

    async def rejected(request: Request, error: Exception) -> JSONResponse:
        if note is not None and isinstance(error, Rejected):
            note(request, error)
        return await _rejected(request, error)

    application.add_exception_handler(MistypedId, _mistyped)
    application.add_exception_handler(Rejected, rejected)
    application.add_exception_handler(DeviceFault, _device_fault)
    application.add_exception_handler(Unavailable, _unavailable)
    application.add_exception_handler(RequestValidationError, _invalid)
    application.add_exception_handler(HTTPException, _by_status)
    application.add_exception_handler(Exception, _fault_of_ours)


def problem(
    status: int, kind: str, title: str, headers: Mapping[str, str] | None = None, **members: JsonValue
) -> JSONResponse:
    """An answer that says what went wrong."""
    said = {name: value for name, value in members.items() if value is not None}
    asked = request_id()
    body = {"type": kind, "title": title, "status": status, **said} | ({} if asked is None else {"request": asked})
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


async def _mistyped(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, MistypedId)  # noqa: S101  # registered for this class
    tenant = getattr(request.state, "tenant", None)
    meant: tuple[str, ...] = ()
    if tenant is not None and error.meant:
        meant = await rooms_of(request).inventory.existing(tenant, error.meant)
    # In a path the id names the resource itself: there is none of that name.
    is_path = any(str(value)[: len(error.subject)] == error.subject for value in request.path_params.values())
    detail = f"Did you mean {' or '.join(meant)}?" if meant else None
    said: list[JsonValue] = list(meant)
    return problem(404 if is_path else 400, "mistyped-id", str(error), detail=detail, did_you_mean=said)


async def _rejected(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Rejected)  # noqa: S101  # registered for this class
    status, headers = 400, {}
    match error:
        case Unauthenticated():
            # RFC 9110 §11.6.1: a 401 says how to do better.
            status, headers = 401, {"WWW-Authenticate": "Bearer"}
        case TooManyAttempts() | TooMany():
            status, headers = 429, {"Retry-After": str(error.facts["retry_after_s"])}
        case Forbidden():
            status = 403
        case NotFound():
            status = 404
        case Gone():
            status = 410
        case Outdated():
            status = 412
        case Conflict():
            status = 409
    facts: dict[str, JsonValue] = dict(error.facts)
    own = {"title", "status", "kind", "headers"}
    members = {name: value for name, value in facts.items() if name not in own}
    return problem(status, error.kind, str(error), headers, **members)


async def _device_fault(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DeviceFault)  # noqa: S101  # registered for this class
    if error.code is None:
        command = error.command if isinstance(error, NoAnswer) else None
        title = f"{error.device} did not answer the {error.operation} in time"
        return problem(504, "no-answer", title, detail=error.detail or None, command=command)
    title = f"{error.device} refused the {error.operation}"
    return problem(502, "device-refused", title, code=error.code, detail=error.detail or None)


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unavailable)  # noqa: S101  # registered for this class
    log.warning("api.unavailable", extra={"neighbour": error.neighbour, "reason": error.reason})
    # The reason may name folders and hosts: it is for the log, and for `/readyz`.
    title = f"{error.neighbour} is not available; nothing was lost"
    return problem(503, "unavailable", title, {"Retry-After": str(RETRY_AFTER_S)}, neighbour=error.neighbour)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this class
    errors: list[JsonValue] = [
        {"field": ".".join(str(part) for part in line["loc"]), "says": str(line["msg"])}
        for line in error.errors()[:ERRORS_TOLD_MAX]
    ]
    return problem(422, "invalid", "The request was not understood", errors=errors)


async def _by_status(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class
    kind = _KINDS.get(error.status_code, "invalid" if error.status_code < 500 else "internal")
    title = {404: "There is no such path in this API"}.get(error.status_code) or error.detail
    return problem(error.status_code, kind, title or HTTPStatus(error.status_code).phrase, error.headers)


async def _fault_of_ours(request: Request, error: Exception) -> JSONResponse:
    log.error("api.fault", exc_info=error, extra={"method": request.method, "path": request.url.path})
    # This is answered outside of what names all other answers.
    asked = request_id()
    named = {} if asked is None else {REQUEST_ID: asked}
    return problem(500, "internal", "Something is wrong with Shoal itself; its log says what", named)
