"""What surrounds every screen: how many alerts need a person, and whether monitoring itself is delayed."""

from datetime import datetime

from pydantic import BaseModel

from shoal.bff import heard


class Frame(BaseModel):
    at: datetime
    needs_person: int | None
    delayed_since: datetime | None


def frame(at: datetime, pipeline: heard.Pipeline, needs_person: int | None) -> Frame:
    return Frame(at=at, needs_person=needs_person, delayed_since=pipeline.delayed_since)
