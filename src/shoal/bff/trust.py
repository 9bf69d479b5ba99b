"""The pages about trust: who was not let in, and bringing a device in."""

from typing import Annotated

from fastapi import APIRouter, Query

from shoal.bff.context import HeldApi, HeldBff
from shoal.bff.screens import security

router = APIRouter(prefix="/bff")

# As the API takes it: an identity has 128 bytes at most.
Word = Annotated[str | None, Query(max_length=128)]


@router.get("/screens/security")
async def security_screen(
    api: HeldApi,
    bff: HeldBff,
    q: Word = None,
    reason: Word = None,
    address: Word = None,
    device: Word = None,
    cursor: str | None = None,
) -> security.SecurityScreen:
    """A page of the security log."""
    query = {"q": q or None, "reason": reason, "address": address, "device": device}
    limits = {"cursor": cursor, "limit": security.EVENTS_PER_PAGE}
    return security.security_screen(bff.clock.now(), await api.security_events(query | limits))
