"""Who is on duty on the demo farm: set up once through the API, and left alone after that."""

import json
from typing import Any

import httpx

from shoal.demo.duty import PEOPLE, set_up


class Duty:
    """As much of the API as this needs, kept in memory."""

    def __init__(self) -> None:
        self.contacts: list[dict[str, Any]] = []
        self.policy: dict[str, Any] = {"id": "pol-1", "is_default": True, "version": 0}
        self.changes = 0

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer), base_url="http://shoal/api/v1")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.removeprefix("/api/v1/")
        if request.method == "GET":
            return httpx.Response(200, json={"items": self.contacts if name == "contacts" else [self.policy]})
        self.changes += 1
        body = json.loads(request.content)
        if name == "contacts":
            self.contacts.append({**body, "id": f"con-{len(self.contacts)}"})
            return httpx.Response(201, json=self.contacts[-1])
        assert request.headers["If-Match"] == f'"{self.policy["version"]}"'
        self.policy.update(body, version=self.policy["version"] + 1)
        return httpx.Response(200, json=self.policy)


async def test_the_default_policy_reaches_people_also_without_a_mail_server() -> None:
    duty = Duty()
    async with duty.client() as api:
        await set_up(api)

    assert [contact["name"] for contact in duty.contacts] == list(PEOPLE)
    assert all(contact["methods"][-1] == {"channel": "dashboard"} for contact in duty.contacts)
    assert [step["contacts"] for step in duty.policy["steps"]] == [["con-0"], ["con-1"]]


async def test_what_a_visitor_changed_stays() -> None:
    duty = Duty()
    async with duty.client() as api:
        await set_up(api)
        duty.policy.update(version=2, repeat=9)
        changes = duty.changes
        await set_up(api)

    assert (duty.changes, duty.policy["repeat"]) == (changes, 9)
