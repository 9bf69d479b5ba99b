"""People and policies: the screen about both, why somebody may or may not, and what is written; the API decides."""

from asyncio import gather
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, JsonValue

from shoal.bff.context import HeldApi, HeldBff, WritingLogin
from shoal.bff.screens import access

router = APIRouter(prefix="/bff")

# More than any of them may have: how much that is, the API says.
CHARACTERS_MAX: Final = 1_100
ITEMS_MAX: Final = 100  # the longest list is that of the places of one person

_Text = Annotated[str, Field(max_length=CHARACTERS_MAX)]
_Texts = Annotated[list[_Text], Field(max_length=ITEMS_MAX)]
_Asked = Annotated[str | None, Query(max_length=CHARACTERS_MAX)]


class NewPersonWritten(BaseModel):
    email: _Text
    name: _Text
    role: _Text
    places: _Texts = []
    password: _Text


class PersonWritten(BaseModel):
    name: _Text
    role: _Text
    places: _Texts = []
    disabled: bool = False


class AccessPolicyWritten(BaseModel):
    """`who_id` is empty for everybody and for all devices, of a server its short id or `*`; `place` is empty for the
    whole tenant.
    """

    effect: _Text
    who_kind: _Text
    who_id: _Text = ""
    operations: _Texts
    place: _Text = ""
    paths: _Texts = ["*"]
    note: _Text = ""

    def body(self) -> dict[str, JsonValue]:
        """As the API takes it."""
        return {
            "effect": self.effect,
            "who": {"kind": self.who_kind, "id": self.who_id or None},
            "operations": list[JsonValue](self.operations),
            "place": self.place or None,
            "paths": list[JsonValue](self.paths),
            "note": self.note,
        }


class AccessPreview(BaseModel):
    says: str
    gain: int
    lose: int
    warnings: list[str]


@router.get("/screens/access")
async def access_screen(api: HeldApi, bff: HeldBff) -> access.AccessScreen:
    """Who may do what where. For administrators: the API says so to all others."""
    # One question before all others: who may not ask it is refused once.
    users = await api.users()
    tokens, roles, policies = await gather(api.tokens(), api.roles(), api.access_policies())
    farms, enclosures, me = await gather(api.farms(), api.enclosures(), api.me())
    return access.access_screen(
        bff.clock.now(), me.id, users, tokens, roles, policies, access.places_of(farms, enclosures)
    )


@router.get("/screens/askable")
async def askable_screen(api: HeldApi) -> access.AskableScreen:
    """Whom and which places one may ask about. All but administrators ask about themselves alone."""
    me, farms, enclosures = await gather(api.me(), api.farms(), api.enclosures())
    places = access.places_of(farms, enclosures)
    if not me.administers:
        return access.AskableScreen(people=[], tokens=[], servers=[], places=places)
    users, tokens, policies = await gather(api.users(), api.tokens(), api.access_policies())
    return access.askable_screen(me.id, users, tokens, policies, places)


@router.get("/screens/why")
async def why_screen(
    api: HeldApi,
    operation: Annotated[str, Query(max_length=CHARACTERS_MAX)],
    subject: _Asked = None,
    place: _Asked = None,
    path: _Asked = None,
) -> access.WhyScreen:
    """Why somebody, or whoever asks, may or may not do something somewhere."""
    return access.why_screen(
        await api.explain({"operation": operation, "subject": subject, "place": place, "path": path})
    )


@router.post("/actions/people", status_code=204)
async def add_person(person: NewPersonWritten, api: HeldApi, _: WritingLogin) -> None:
    """Somebody new."""
    await api.add_user(person.model_dump())


@router.put("/actions/people/{person_id}", status_code=204)
async def change_person(person_id: str, person: PersonWritten, api: HeldApi, _: WritingLogin) -> None:
    """Another name, role or places; shut out, or let in again."""
    await api.change_user(person_id, person.model_dump())


@router.post("/actions/access-policies/preview")
async def preview_policy(
    policy: AccessPolicyWritten, api: HeldApi, _: WritingLogin, replaces: _Asked = None
) -> AccessPreview:
    """What a sentence would mean for people, before it is kept."""
    said = await api.preview_access_policy(policy.body() | {"replaces": replaces})
    return AccessPreview(says=said.says, gain=said.gain, lose=said.lose, warnings=said.warnings)


@router.post("/actions/access-policies", status_code=204)
async def add_policy(policy: AccessPolicyWritten, api: HeldApi, _: WritingLogin) -> None:
    """A new sentence."""
    await api.write_access_policy(None, policy.body())


@router.put("/actions/access-policies/{policy_id}", status_code=204)
async def change_policy(
    policy_id: str,
    policy: AccessPolicyWritten,
    api: HeldApi,
    _: WritingLogin,
    seen: Annotated[int, Query(ge=0)],
) -> None:
    """Another sentence in the place of the one that was read in version `seen`."""
    await api.write_access_policy(policy_id, policy.body(), seen)


@router.delete("/actions/access-policies/{policy_id}", status_code=204)
async def remove_policy(policy_id: str, api: HeldApi, _: WritingLogin, seen: Annotated[int, Query(ge=0)]) -> None:
    """Forgets a sentence."""
    await api.remove_access_policy(policy_id, seen)
