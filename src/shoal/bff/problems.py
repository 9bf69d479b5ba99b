"""Errors to problem+json (RFC 9457), once. The page chooses its words by `type`."""

import logging
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import JsonValue

from shoal.bff.api import ProblemAnswered
from shoal.errors import Forbidden, NotFound, Rejected, Unavailable
from shoal.http_exchange import REQUEST_ID, request_id

log: Final = logging.getLogger("shoal.bff")


class LoggedOut(Rejected):
    """Nobody is logged in, or no longer."""

    kind = "logged-out"


def install(application: FastAPI) -> None:
    """Teaches the application how each kind of error looks on the wire."""
    application.add_exception_handler(ProblemAnswered, _answered)
    application.add_exception_handler(Rejected, _rejected)
    application.add_exception_handler(Unavailable, _unavailable)
    application.add_exception_handler(RequestValidationError, _invalid)
    application.add_exception_handler(Exception, _fault_of_ours)


def problem(
    status: int, kind: str, title: str, headers: Mapping[str, str] | None = None, **members: JsonValue
) -> JSONResponse:
    asked = request_id()
    body = {"type": kind, "title": title, "status": status, **members} | ({} if asked is None else {"request": asked})
    return JSONResponse(body, status_code=status, media_type="application/problem+json", headers=headers)


async def _answered(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemAnswered)  # noqa: S101  # registered for this class
    wait_s = error.problem.get("retry_after_s")
    headers = {"Retry-After": str(wait_s)} if isinstance(wait_s, int) else None
    return JSONResponse(dict(error.problem), error.status, headers, media_type="application/problem+json")


async def _rejected(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Rejected)  # noqa: S101  # registered for this class
    match error:
        case LoggedOut():
            return problem(401, error.kind, "Nobody is logged in")
        case Forbidden():
            return problem(403, error.kind, str(error))
        case NotFound():
            return problem(404, error.kind, str(error))
    return problem(400, error.kind, str(error))


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unavailable)  # noqa: S101  # registered for this class
    log.warning("api.unavailable", extra={"neighbour": error.neighbour, "reason": error.reason})
    return problem(503, "unavailable", f"{error.neighbour}: {error.reason}")


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this class
    errors: list[JsonValue] = [
        {"field": ".".join(str(part) for part in line["loc"]), "says": str(line["msg"])} for line in error.errors()
    ]
    return problem(422, "invalid", "Not understood", errors=errors)


async def _fault_of_ours(request: Request, error: Exception) -> JSONResponse:
    log.error("pages.fault", exc_info=error, extra={"method": request.method, "path": request.url.path})
    # This is answered outside of what names all other answers.
    asked = request_id()
    named = {} if asked is None else {REQUEST_ID: asked}
    return problem(500, "internal", "Something is wrong with Shoal itself; its log says what", named)
