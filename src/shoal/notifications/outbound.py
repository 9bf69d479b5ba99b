"""Calls to URLs that a tenant named: only to the outside world, only what was checked, only for seconds.

Every tenant can name a host. Without this, our own machine, its neighbours and the metadata service of a cloud would
be asked by us in a tenant's name (server-side request forgery).
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

import httpx

from shoal.errors import Rejected

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[Address]]]

# Whoever has not answered by then is away; the lease of a notification is six times as long.
CALL_TIMEOUT: Final = timedelta(seconds=5)
# An answer is a status. Its body is thrown away, and what is longer is not read to its end.
ANSWER_BYTES_MAX: Final = 64 * 1024
URL_CHARACTERS_MAX: Final = 2_000  # what browsers and proxies agree on
# Addresses of one name that are tried: a name with more is not a webhook.
ADDRESSES_MAX: Final = 4
_HTTPS: Final = 443
# IPv6 addresses that stand for an IPv4 one: RFC 6052 §2.1, RFC 8215 §3 (NAT64) and RFC 3056 §2 (6to4).
_NAT64: Final = tuple(ipaddress.IPv6Network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48"))


class Refused(Exception):
    """We will not call this. The reason may be told to the tenant."""


class Away(Exception):
    """No answer: no such name, no connection, no TLS, not in time."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The status, and how long the other side asks to wait."""

    status: int
    retry_after: timedelta | None


def checked_url(raw: str, *, is_private_allowed: bool) -> str:
    """A URL that may be called, as far as its text tells.

    Raises:
        Rejected: not https, another port than 443, with a user, a fragment, or a name that is none; where private
            addresses are allowed, http and other ports are, too.
    """
    url = raw.strip()
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise Rejected("url", f"up to {URL_CHARACTERS_MAX} printable ASCII characters without blanks")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Rejected("url", "not a URL") from error
    if parts.scheme not in ({"https", "http"} if is_private_allowed else {"https"}) or not parts.hostname:
        raise Rejected("url", "of the form https://host/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Rejected("url", "without a user, a password and a fragment")
    if port not in {None, _HTTPS} and not is_private_allowed:
        raise Rejected("url", "only port 443")
    address = _literal(parts.hostname)
    if address is not None and not is_private_allowed and not is_public(address):
        raise Rejected("url", "an address of a private network")
    return url


def is_public(address: Address) -> bool:
    """Whether an address belongs to the outside world, also when it stands for another one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and any(address in network for network in _NAT64):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
    # Not global are: loopback, private, link-local (with 169.254.169.254), unique local, shared (CGNAT), unspecified.
    return address.is_global and not address.is_multicast


async def resolved(host: str, port: int) -> Sequence[Address]:
    """All addresses of a name. Raises Away."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Away("its name is unknown") from error
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


class Outbound:
    """Calls URLs. `is_private_allowed` is for an operator whose tenants may reach the operator's own network."""

    def __init__(
        self,
        *,
        is_private_allowed: bool = False,
        resolve: Resolve = resolved,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._is_private_allowed = is_private_allowed
        self._resolve = resolve
        self._tls = tls or ssl.create_default_context()

    def checked(self, url: str) -> str:
        """A URL that may be called, as far as its text tells. Raises Rejected."""
        return checked_url(url, is_private_allowed=self._is_private_allowed)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """Posts, follows nothing, and reads no more than the status.

        Raises:
            Refused: not to be called: the URL, or one of the addresses that its name has now.
            Away: no answer.
        """
        try:
            parts = urlsplit(self.checked(url))
        except Rejected as error:
            raise Refused(error.reason) from error
        try:
            async with asyncio.timeout(CALL_TIMEOUT.total_seconds()):
                addresses = await self._addresses(parts)
                return await self._first_that_answers(parts, addresses, body, headers)
        except TimeoutError as error:
            raise Away(f"no answer within {CALL_TIMEOUT.total_seconds():.0f} s") from error

    async def _addresses(self, parts: SplitResult) -> Sequence[Address]:
        """The addresses of the name, all of them checked: they are looked up once, and then called by number."""
        host = parts.hostname or ""
        literal = _literal(host)
        found = [literal] if literal is not None else await self._resolve(host, parts.port or _HTTPS)
        if not found:
            raise Away("its name has no address")
        if not self._is_private_allowed and not all(is_public(address) for address in found):
            raise Refused("its name leads to a private network")
        return list(dict.fromkeys(found))[:ADDRESSES_MAX]

    async def _first_that_answers(
        self, parts: SplitResult, addresses: Sequence[Address], body: bytes, headers: Mapping[str, str]
    ) -> Answered:
        # No connection is kept: one that was opened for a name must not serve another name at the same address.
        limits = httpx.Limits(max_keepalive_connections=0)
        failure = ""
        async with httpx.AsyncClient(
            verify=self._tls,
            trust_env=False,
            follow_redirects=False,
            limits=limits,
            timeout=CALL_TIMEOUT.total_seconds(),
        ) as client:
            for address in addresses:
                try:
                    return await _answered(client, parts, address, body, headers)
                except httpx.ConnectError as error:
                    failure = "its TLS is not to be trusted" if _is_tls(error) else "it takes no connection"
                except httpx.InvalidURL as error:
                    raise Refused("not a URL") from error
                except httpx.HTTPError as error:
                    raise Away(f"it broke off: {type(error).__name__}") from error
        raise Away(failure)


async def _answered(
    client: httpx.AsyncClient, parts: SplitResult, address: Address, body: bytes, headers: Mapping[str, str]
) -> Answered:
    url = httpx.URL(parts.geturl()).copy_with(host=str(address))
    # Host and the name in TLS are the original ones; only the connection goes to the number that was checked.
    request = client.build_request(
        "POST",
        url,
        content=body,
        headers={**headers, "Host": parts.netloc, "Accept-Encoding": "identity"},
        extensions={"sni_hostname": parts.hostname},
    )
    response = await client.send(request, stream=True)
    try:
        taken = 0
        async for piece in response.aiter_raw():
            taken += len(piece)
            if taken > ANSWER_BYTES_MAX:
                break
    finally:
        await response.aclose()
    waits = response.headers.get("Retry-After", "")
    # RFC 9110 §10.2.3 allows a date, too; our own back-off is as good as that.
    retry_after = timedelta(seconds=int(waits)) if waits.isascii() and waits.isdigit() and len(waits) < 6 else None
    return Answered(response.status_code, retry_after)


def _is_tls(error: httpx.ConnectError) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
