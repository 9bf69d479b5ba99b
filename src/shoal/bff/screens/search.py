"""What one field found, in groups as they stand beneath it; the group of the best match first."""

from typing import Literal

from pydantic import BaseModel

from shoal.bff import heard


class FoundShown(BaseModel):
    """`farm` is where an enclosure is shown."""

    id: str
    name: str
    beside: str
    farm: str | None


class GroupShown(BaseModel):
    kind: Literal["device", "farm", "enclosure", "alert"]
    items: list[FoundShown]


class SearchScreen(BaseModel):
    groups: list[GroupShown]


def search_screen(found: list[heard.Found]) -> SearchScreen:
    kinds = list(dict.fromkeys(one.kind for one in found))
    return SearchScreen(
        groups=[GroupShown(kind=kind, items=[_shown(one) for one in found if one.kind == kind]) for kind in kinds]
    )


def _shown(said: heard.Found) -> FoundShown:
    detail = f"#{said.detail}" if said.kind == "alert" and said.detail else said.detail
    place = " › ".join(part for part in (said.farm_name, said.enclosure_name) if part)
    return FoundShown(
        id=said.id,
        name=said.name or said.id,
        beside=", ".join(part for part in (detail, place) if part),
        farm=said.farm,
    )
