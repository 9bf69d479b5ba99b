"""What happened, in plain sentences, newest first, with the detail beneath."""

from datetime import datetime

from pydantic import BaseModel, JsonValue

from shoal.bff import heard


class TimelineLine(BaseModel):
    id: str
    at: datetime
    kind: str
    says: str
    detail: str


class TimelineScreen(BaseModel):
    at: datetime
    items: list[TimelineLine]
    next: str | None


def timeline_line(item: heard.TimelineItem) -> TimelineLine:
    return TimelineLine(id=item.id, at=item.at, kind=item.kind, says=item.says, detail=detail_text(item.detail))


def timeline_screen(at: datetime, page: heard.Page[heard.TimelineItem]) -> TimelineScreen:
    return TimelineScreen(at=at, items=[timeline_line(item) for item in page.items], next=page.next)


def detail_text(detail: JsonValue) -> str:
    """Facts as lines of `name: value`, whatever shape they came in."""
    match detail:
        case None:
            return ""
        case str():
            return detail
        case dict():
            return "\n".join(f"{name}: {detail_text(value)}" for name, value in detail.items() if value is not None)
        case list():
            return "\n".join(detail_text(value) for value in detail)
        case bool():
            return "yes" if detail else "no"
    return str(detail)
