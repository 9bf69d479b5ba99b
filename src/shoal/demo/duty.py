"""Who is on duty on the demo farm. Nobody has to set up a mail server: where mail does not go, the dashboard does.

What is there already stays as it is: a visitor may have changed it.
"""

from typing import Any, Final

import httpx

# Ida wants mail. The demo has no mail server, and so every alert shows how the next way takes over.
PEOPLE: Final[dict[str, list[dict[str, str]]]] = {
    "Ida Vik": [{"channel": "email", "address": "ida@shoal.example"}, {"channel": "dashboard"}],
    "Jon Aas": [{"channel": "dashboard"}],
}
# A visitor sees all of it within minutes.
SECOND_STEP_S: Final = 120
ROUND_S: Final = 600


async def set_up(api: httpx.AsyncClient) -> None:
    """People, and a default policy with two steps.

    Raises:
        httpx.HTTPStatusError: the API refuses.
    """
    known = {contact["name"]: contact["id"] for contact in await _items(api, "/contacts")}
    for name, methods in PEOPLE.items():
        if name not in known:
            answer = await api.post("/contacts", json={"name": name, "methods": methods})
            answer.raise_for_status()
            known[name] = answer.json()["id"]
    default = next(policy for policy in await _items(api, "/escalation-policies") if policy["is_default"])
    if default["version"] == 0:
        steps = [
            {"after_s": 0, "contacts": [known["Ida Vik"]]},
            {"after_s": SECOND_STEP_S, "contacts": [known["Jon Aas"]]},
        ]
        wanted = {"steps": steps, "repeat": 1, "repeat_every_s": ROUND_S}
        path = f"/escalation-policies/{default['id']}"
        (await api.patch(path, json=wanted, headers={"If-Match": '"0"'})).raise_for_status()


async def _items(api: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    answer = await api.get(path)
    answer.raise_for_status()
    return list(answer.json()["items"])
