"""What every route needs: the API, who is asking, and whether the request may change something."""

import hmac
from dataclasses import dataclass
from typing import Annotated, Final

import httpx
from fastapi import Depends, Request

from shoal.bff.api import Api
from shoal.bff.logins import Login, Logins
from shoal.bff.problems import LoggedOut
from shoal.clock import Clock
from shoal.errors import Forbidden

CSRF_HEADER: Final = "X-Shoal-CSRF"


@dataclass(frozen=True, slots=True)
class Bff:
    """What one application has for as long as it runs."""

    api: httpx.AsyncClient
    logins: Logins
    clock: Clock
    is_secure: bool


def bff_of(request: Request) -> Bff:
    """The application that this request came to."""
    bff = request.app.state.bff
    assert isinstance(bff, Bff)  # noqa: S101  # set once, when the application is made
    return bff


def cookie_name(is_secure: bool) -> str:
    """RFC 6265bis §4.1.3.2: `__Host-` binds the cookie to this host, but needs TLS."""
    return "__Host-shoal" if is_secure else "shoal"


def logged_in(request: Request, bff: Annotated[Bff, Depends(bff_of)]) -> Login:
    """The login of this request.

    Raises:
        LoggedOut: there is none, or it has ended.
    """
    cookie = request.cookies.get(cookie_name(bff.is_secure))
    login = bff.logins.find(cookie, bff.clock.now()) if cookie else None
    if login is None:
        raise LoggedOut("login", "none")
    return login


def same_origin(request: Request) -> None:
    """Refuses what another site's page sent. Browsers say so themselves (Fetch Metadata)."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("request", "sent by another site")


def may_write(
    request: Request,
    login: Annotated[Login, Depends(logged_in)],
    bff: Annotated[Bff, Depends(bff_of)],
    _: Annotated[None, Depends(same_origin)],
) -> Login:
    """The login of a request that changes something: the page must prove that it is ours."""
    sent = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(sent.encode(), bff.logins.csrf(login).encode()):
        raise Forbidden("request", "the page is too old: load it again")
    return login


def address_of(request: Request) -> str | None:
    """Where the browser is, as far as it can be told."""
    return request.client.host if request.client else None


def api_of(request: Request, login: Annotated[Login, Depends(logged_in)], bff: Annotated[Bff, Depends(bff_of)]) -> Api:
    """The API as the person of this request sees it."""
    return Api(bff.api, login.token, address_of(request))


HeldBff = Annotated[Bff, Depends(bff_of)]
HeldLogin = Annotated[Login, Depends(logged_in)]
WritingLogin = Annotated[Login, Depends(may_write)]
HeldApi = Annotated[Api, Depends(api_of)]
