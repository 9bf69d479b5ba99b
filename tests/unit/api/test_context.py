"""Every route finds the rooms of its own application."""

from fastapi import Request

from shoal.api.context import UPLOADS_MAX, WAITING_MAX, rooms_of
from tests.unit.api.company import Company


async def test_a_request_finds_the_rooms_of_the_application_it_came_to(company: Company) -> None:
    request = Request({"type": "http", "app": company.application, "headers": []})

    rooms = rooms_of(request)

    assert rooms.inventory is company.installation.inventory
    assert rooms.commands is company.commands


async def test_two_applications_do_not_share_their_bounds(company: Company) -> None:
    with company.rooms.waiting.one_more(), company.rooms.uploads.one_more():
        assert company.rooms.waiting.taken == company.rooms.uploads.taken == 1

    assert (WAITING_MAX, UPLOADS_MAX) > (1, 1)
