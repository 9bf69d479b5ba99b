"""A typed client of the API (design section 8): the only way this room learns or changes anything."""

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
from pydantic import JsonValue, TypeAdapter, ValidationError

from shoal.bff import heard, heard_access, heard_calls, heard_trust
from shoal.errors import ShoalError, Unavailable
from shoal.http_exchange import handed_on

# One live stream per open browser holds a connection; the pages' own requests are short.
CONNECTIONS_MAX: Final = 2_000
CONNECTIONS_KEPT: Final = 50
# A device that is awake answers within seconds; the API itself gives up on it before this.
ANSWER_TIMEOUT_S: Final = 40.0
CONNECT_TIMEOUT_S: Final = 3.0
# Alerts that need somebody are a short list by design; the rest is a page away.
ALERTS_PER_PAGE: Final = 100
# People and tokens of a tenant: as many as one page of the API holds, and as many pages as one screen could show.
ITEMS_PER_PAGE: Final = 200
PAGES_MAX: Final = 10  # 2,000 people
# Farms and enclosures of a tenant on one screen: 200 farms with 20 enclosures fit.
PLACES_PER_PAGE: Final = 5_000

Body: TypeAlias = Mapping[str, JsonValue]
Said = TypeVar("Said")


class ProblemAnswered(ShoalError):
    """The API said no. The problem (RFC 9457) goes on to the page as it is; the page finds the words."""

    def __init__(self, status: int, problem: Mapping[str, JsonValue]) -> None:
        super().__init__(status, problem)
        self.status = status
        self.problem = problem


def connect(url: str, *, ca: Path | None = None) -> httpx.AsyncClient:
    """A client for the API at this address; `ca` signed its certificate, None: one of those that the system trusts.

    The caller closes it.
    """
    return httpx.AsyncClient(
        base_url=url,
        timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_KEPT),
        verify=True if ca is None else ssl.create_default_context(cafile=str(ca)),
        # The API is a neighbour. A proxy for the outside world, named in the environment, is not on the way to it.
        trust_env=False,
        event_hooks={"request": [_belongs_to_ours]},
    )


async def _belongs_to_ours(request: httpx.Request) -> None:
    request.headers.update(handed_on())


class Api:
    """The API as one person sees it: every call carries the token of their login, and where they are."""

    def __init__(self, client: httpx.AsyncClient, token: str | None = None, address: str | None = None) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        if address:
            self._headers["X-Forwarded-For"] = address

    # -- logging in ------------------------------------------------------------------------------------------------

    async def log_in(self, email: str, password: str) -> heard_access.Session:
        return await self._send(heard_access.Session, "POST", "/sessions", body={"email": email, "password": password})

    async def invitation(self, secret: str) -> heard.Invitation:
        return await self._send(heard.Invitation, "POST", "/invitations:look", body={"secret": secret})

    async def accept(self, secret: str, email: str, name: str, password: str) -> heard_access.Session:
        body = {"secret": secret, "email": email, "name": name, "password": password}
        return await self._send(heard_access.Session, "POST", "/invitations:accept", body=body)

    async def log_out(self) -> None:
        await self._answer("DELETE", "/sessions/current")

    async def me(self) -> heard_access.Me:
        return await self._get(heard_access.Me, "/me")

    # -- screens ---------------------------------------------------------------------------------------------------

    async def health(self) -> heard.Health:
        return await self._get(heard.Health, "/health")

    async def coverage(self, farm: str | None = None, enclosure: str | None = None) -> list[heard.Coverage]:
        query = {"farm": farm, "enclosure": enclosure, "limit": PLACES_PER_PAGE}
        return (await self._page(heard.Coverage, "/health/coverage", query)).items

    async def pipeline(self) -> heard.Pipeline:
        return await self._get(heard.Pipeline, "/pipeline")

    async def farms(self) -> list[heard.Farm]:
        return (await self._page(heard.Farm, "/farms", {"limit": PLACES_PER_PAGE})).items

    async def farm(self, farm: str) -> heard.FarmDetail:
        return await self._get(heard.FarmDetail, f"/farms/{_id(farm)}")

    async def enclosure(self, enclosure: str) -> heard.Enclosure:
        return await self._get(heard.Enclosure, f"/enclosures/{_id(enclosure)}")

    async def alerts(
        self,
        state: str,
        farm: str | None = None,
        device: str | None = None,
        cursor: str | None = None,
        limit: int = ALERTS_PER_PAGE,
    ) -> heard.Page[heard.Alert]:
        query = {"state": state, "farm": farm, "device": device, "cursor": cursor, "limit": limit}
        return await self._page(heard.Alert, "/alerts", query)

    async def alert(self, alert: str) -> heard.Alert:
        return await self._get(heard.Alert, f"/alerts/{_id(alert)}")

    async def devices(self, query: Mapping[str, str | int | None]) -> heard.Page[heard.Device]:
        return await self._page(heard.Device, "/devices", query)

    async def device(self, device: str) -> heard.Device:
        return await self._get(heard.Device, f"/devices/{_id(device)}")

    async def objects(self, device: str) -> list[heard.Object]:
        return (await self._page(heard.Object, f"/devices/{_id(device)}/objects", {})).items

    async def observations(self, device: str) -> list[heard.Observation]:
        return (await self._page(heard.Observation, f"/devices/{_id(device)}/observations", {})).items

    async def access_control(self, device: str) -> heard_access.AccessControl:
        return await self._get(heard_access.AccessControl, f"/devices/{_id(device)}/access-control", {})

    async def readings(self, device: str, query: Mapping[str, str | int | None]) -> heard.Readings:
        return await self._get(heard.Readings, f"/devices/{_id(device)}/readings", query)

    async def timeline(
        self, device: str, cursor: str | None = None, kind: str | None = None
    ) -> heard.Page[heard.TimelineItem]:
        query = {"cursor": cursor, "kind": kind}
        return await self._page(heard.TimelineItem, f"/devices/{_id(device)}/timeline", query)

    async def updates(self, device: str) -> list[heard.Update]:
        return (await self._page(heard.Update, f"/devices/{_id(device)}/updates", {})).items

    async def artifacts(self) -> list[heard.Artifact]:
        return (await self._page(heard.Artifact, "/artifacts", {})).items

    async def command(self, command: str) -> heard.Command:
        return await self._get(heard.Command, f"/commands/{_id(command)}")

    async def search(self, q: str) -> list[heard.Found]:
        return (await self._page(heard.Found, "/search", {"q": q})).items

    async def audit(self, query: Mapping[str, str | int | None]) -> heard.Page[heard.AuditEntry]:
        return await self._page(heard.AuditEntry, "/audit", query)

    async def security_events(self, query: Mapping[str, str | int | None]) -> heard.Page[heard_trust.SecurityEvent]:
        return await self._page(heard_trust.SecurityEvent, "/security-events", query)

    async def enclosures(self) -> list[heard.Enclosure]:
        return (await self._page(heard.Enclosure, "/enclosures", {"limit": PLACES_PER_PAGE})).items

    async def credentials(self, device: str) -> list[heard_trust.Credential]:
        return (await self._page(heard_trust.Credential, f"/devices/{_id(device)}/credentials", {})).items

    async def credentials_ending(self, query: Mapping[str, str | int | None]) -> heard.Page[heard_trust.Credential]:
        return await self._page(heard_trust.Credential, "/credentials", query)

    # -- actions ---------------------------------------------------------------------------------------------------

    async def acknowledge(self, alert: str, note: str) -> heard.Alert:
        return await self._send(heard.Alert, "POST", f"/alerts/{_id(alert)}:acknowledge", body={"note": note})

    async def resolve(self, alert: str, note: str) -> heard.Alert:
        return await self._send(heard.Alert, "POST", f"/alerts/{_id(alert)}:resolve", body={"note": note})

    async def ask_device(
        self, method: str, device: str, path: str, body: Mapping[str, JsonValue] | None = None
    ) -> heard.Answer | heard.Command:
        """Reads (GET), writes (PUT, PATCH), executes or creates (POST), deletes (DELETE) a path.

        An answer, or a command that waits for the device.
        """
        answer = await self._answer(method, f"/devices/{_id(device)}/objects/{_path(path)}", body=body)
        if answer.status_code == httpx.codes.ACCEPTED:
            return _read(heard.Command, answer)
        return _read(heard.Answer, answer) if answer.content else heard.Answer(path=path)

    async def discover(self, device: str, path: str) -> heard.Discovered | heard.Command:
        """Which paths a device has, with their attributes; or a command that waits for the device."""
        answer = await self._answer("POST", f"/devices/{_id(device)}:discover", body={"path": path})
        if answer.status_code == httpx.codes.ACCEPTED:
            return _read(heard.Command, answer)
        return _read(heard.Discovered, answer)

    async def send_attributes(self, device: str, path: str, attributes: Body) -> heard.Answer | heard.Command:
        body: dict[str, JsonValue] = {"path": path, "attributes": dict(attributes)}
        answer = await self._answer("POST", f"/devices/{_id(device)}:send-attributes", body=body)
        if answer.status_code == httpx.codes.ACCEPTED:
            return _read(heard.Command, answer)
        return _read(heard.Answer, answer)

    async def observe(self, device: str, path: str, body: Body, version: int) -> heard.Observation:
        address = f"/devices/{_id(device)}/observations/{_path(path)}"
        return _read(heard.Observation, await self._answer("PUT", address, body=body, version=version))

    async def unobserve(self, device: str, path: str, version: int) -> None:
        await self._remove(f"/devices/{_id(device)}/observations", path, version)

    async def create_device(self, body: Body) -> heard_trust.NewDevice:
        return await self._send(heard_trust.NewDevice, "POST", "/devices", body=body)

    async def create_credential(self, device: str, body: Body) -> heard_trust.NewCredential:
        return await self._send(heard_trust.NewCredential, "POST", f"/devices/{_id(device)}/credentials", body=body)

    async def approve_credential(self, device: str, credential: str, enclosure: str | None) -> None:
        path = f"/devices/{_id(device)}/credentials/{_id(credential)}:approve"
        await self._answer("POST", path, body={"enclosure": enclosure})

    async def revoke_credential(self, device: str, credential: str, *, even_last: bool) -> None:
        query = {"last": "true"} if even_last else {}
        await self._answer("DELETE", f"/devices/{_id(device)}/credentials/{_id(credential)}", query)

    async def settle_claim(self, device: str, verb: str) -> None:
        await self._answer("POST", f"/devices/{_id(device)}:{verb}-claim", body={})

    async def start_update(self, device: str, artifact: str, delivery: str) -> heard.Update:
        body: dict[str, JsonValue] = {"artifact": artifact, "delivery": delivery}
        return await self._send(heard.Update, "POST", f"/devices/{_id(device)}/updates", body=body)

    async def roll_back(self, device: str, update: str) -> heard.Update:
        return await self._send(heard.Update, "POST", f"/devices/{_id(device)}/updates", body={"roll_back": update})

    async def cancel_update(self, device: str, update: str) -> heard.Update:
        path = f"/devices/{_id(device)}/updates/{_id(update)}:cancel"
        return await self._send(heard.Update, "POST", path, body={})

    async def cancel_command(self, command: str) -> None:
        await self._answer("DELETE", f"/commands/{_id(command)}")

    # -- who is told ---------------------------------------------------------------------------------------------------

    async def policies(self) -> list[heard_calls.Policy]:
        return (await self._page(heard_calls.Policy, "/escalation-policies", {})).items

    async def write_policy(self, policy: str | None, body: Body, version: int | None = None) -> heard_calls.Policy:
        return await self._write(heard_calls.Policy, "/escalation-policies", policy, body, version)

    async def remove_policy(self, policy: str, version: int) -> None:
        await self._remove("/escalation-policies", policy, version)

    async def order_policies(self, policies: Sequence[str]) -> None:
        await self._answer("POST", "/escalation-policies:order", body={"policies": list(policies)})

    async def rehearse(self, body: Body) -> heard_calls.Rehearsal:
        return await self._send(heard_calls.Rehearsal, "POST", "/escalation-policies:rehearse", body=body)

    async def contacts(self) -> list[heard_calls.Contact]:
        return (await self._page(heard_calls.Contact, "/contacts", {})).items

    async def write_contact(self, contact: str | None, body: Body, version: int | None = None) -> heard_calls.Contact:
        return await self._write(heard_calls.Contact, "/contacts", contact, body, version)

    async def remove_contact(self, contact: str, version: int) -> None:
        await self._remove("/contacts", contact, version)

    async def test_contact(self, contact: str) -> None:
        await self._answer("POST", f"/contacts/{_id(contact)}:test", body={})

    async def channels(self) -> list[heard_calls.Channel]:
        return (await self._page(heard_calls.Channel, "/channels", {})).items

    async def write_channel(self, channel: str | None, body: Body, version: int | None = None) -> heard_calls.Channel:
        return await self._write(heard_calls.Channel, "/channels", channel, body, version)

    async def rotate_channel(self, channel: str, version: int) -> heard_calls.Channel:
        path = f"/channels/{_id(channel)}:rotate"
        return _read(heard_calls.Channel, await self._answer("POST", path, body={}, version=version))

    async def remove_channel(self, channel: str, version: int) -> None:
        await self._remove("/channels", channel, version)

    async def test_channel(self, channel: str, body: Body) -> None:
        await self._answer("POST", f"/channels/{_id(channel)}:test", body=body)

    # -- who may do what -----------------------------------------------------------------------------------------------

    async def users(self) -> list[heard_access.User]:
        return await self._all(heard_access.User, "/users")

    async def add_user(self, body: Body) -> None:
        await self._answer("POST", "/users", body=body)

    async def change_user(self, user: str, body: Body) -> None:
        await self._answer("PATCH", f"/users/{_id(user)}", body=body)

    async def tokens(self) -> list[heard_access.Token]:
        return await self._all(heard_access.Token, "/tokens")

    async def roles(self) -> list[heard_access.RoleRules]:
        return (await self._page(heard_access.RoleRules, "/roles", {})).items

    async def access_policies(self) -> list[heard_access.AccessPolicy]:
        return (await self._page(heard_access.AccessPolicy, "/policies", {})).items

    async def preview_access_policy(self, body: Body) -> heard_access.Preview:
        return await self._send(heard_access.Preview, "POST", "/policies:preview", body=body)

    async def write_access_policy(self, policy: str | None, body: Body, version: int | None = None) -> None:
        await self._write(heard_access.AccessPolicy, "/policies", policy, body, version)

    async def remove_access_policy(self, policy: str, version: int) -> None:
        await self._remove("/policies", policy, version)

    async def explain(self, body: Body) -> heard_access.Explained:
        return await self._send(heard_access.Explained, "POST", "/policies:explain", body=body)

    # -- whose certificates count ----------------------------------------------------------------------------------------

    async def anchors(self) -> list[heard_trust.Anchor]:
        return (await self._page(heard_trust.Anchor, "/trust-anchors", {})).items

    async def anchor_use(self) -> heard_trust.AnchorUse:
        return await self._get(heard_trust.AnchorUse, "/trust-anchors:use")

    async def add_anchor(self, body: Body) -> heard_trust.Anchor:
        return await self._send(heard_trust.Anchor, "POST", "/trust-anchors", body=body)

    async def prove_anchor(self, anchor: str, body: Body) -> None:
        await self._answer("POST", f"/trust-anchors/{_id(anchor)}:prove", body=body)

    async def change_anchor(self, anchor: str, body: Body) -> None:
        await self._answer("PATCH", f"/trust-anchors/{_id(anchor)}", body=body)

    async def remove_anchor(self, anchor: str) -> None:
        await self._answer("DELETE", f"/trust-anchors/{_id(anchor)}")

    async def authorities(self) -> list[heard_trust.Authority]:
        return (await self._page(heard_trust.Authority, "/authorities", {})).items

    async def add_authority(self, body: Body) -> heard_trust.Authority:
        return await self._send(heard_trust.Authority, "POST", "/authorities", body=body)

    async def roll_over_authority(self, authority: str, body: Body) -> heard_trust.Authority:
        return await self._send(heard_trust.Authority, "POST", f"/authorities/{_id(authority)}:roll-over", body=body)

    async def retire_authority(self, authority: str) -> None:
        await self._answer("POST", f"/authorities/{_id(authority)}:retire", body={})

    async def certificates(self, query: Mapping[str, str | int | None]) -> heard.Page[heard_trust.IssuedCertificate]:
        return await self._page(heard_trust.IssuedCertificate, "/certificates", query)

    async def revoke_certificate(self, certificate: str, reason: str) -> None:
        await self._answer("POST", f"/certificates/{_id(certificate)}:revoke", body={"reason": reason})

    # -- how ---------------------------------------------------------------------------------------------------------

    async def _get(self, kind: type[Said], path: str, query: Mapping[str, str | int | None] | None = None) -> Said:
        return _read(kind, await self._answer("GET", path, query))

    async def _send(self, kind: type[Said], method: str, path: str, body: Mapping[str, JsonValue]) -> Said:
        return _read(kind, await self._answer(method, path, body=body))

    async def _write(self, kind: type[Said], path: str, key: str | None, body: Body, version: int | None) -> Said:
        """Makes something (no key), or changes it as it was when it was read in this version."""
        if key is None:
            return _read(kind, await self._answer("POST", path, body=body))
        return _read(kind, await self._answer("PATCH", f"{path}/{_id(key)}", body=body, version=version))

    async def _remove(self, path: str, key: str, version: int) -> None:
        await self._answer("DELETE", f"{path}/{_path(key)}", version=version)

    async def _page(self, kind: type[Said], path: str, query: Mapping[str, str | int | None]) -> heard.Page[Said]:
        answer = await self._answer("GET", path, query)
        data = answer.json()
        return _check(heard.Page[kind], {"items": data} if isinstance(data, list) else data)  # type: ignore[valid-type]

    async def _all(self, kind: type[Said], path: str) -> list[Said]:
        """All pages of a list that people write by hand."""
        items: list[Said] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page = await self._page(kind, path, {"cursor": cursor, "limit": ITEMS_PER_PAGE})
            items += page.items
            cursor = page.next
            if cursor is None:
                break
        return items

    async def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int | None] | None = None,
        body: Body | None = None,
        version: int | None = None,
    ) -> httpx.Response:
        seen = {} if version is None else {"If-Match": f'"{version}"'}
        params = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            answer = await self._client.request(
                method, f"/api/v1{path}", params=params, json=body, headers=self._headers | seen
            )
        except httpx.TimeoutException as error:
            raise Unavailable("API", "no answer in time") from error
        except httpx.TransportError as error:
            raise Unavailable("API", type(error).__name__) from error
        if answer.is_error:
            raise ProblemAnswered(answer.status_code, _problem(answer))
        return answer


def _problem(answer: httpx.Response) -> dict[str, JsonValue]:
    try:
        data = answer.json()
    except ValueError:
        data = None
    if isinstance(data, dict):
        return data
    return {"type": "unavailable", "title": "The API did not say what went wrong", "status": answer.status_code}


def _read(kind: type[Said], answer: httpx.Response) -> Said:
    return _check(kind, answer.json())


def _check(kind: type[Said], data: object) -> Said:
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        raise Unavailable("API", f"answered something else than {kind.__name__}", str(error)) from error


def _id(text: str) -> str:
    return quote(text, safe="")


def _path(path: str) -> str:
    """An LwM2M path inside a URL: numbers and slashes, and nothing that could leave it."""
    return "/".join(quote(part, safe="") for part in path.strip("/").split("/") if part not in ("", ".", ".."))
