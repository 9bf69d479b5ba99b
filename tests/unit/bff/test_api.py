from collections.abc import Callable

import httpx
import pytest

from shoal.bff.api import Api, ProblemAnswered, connect
from shoal.errors import Unavailable

Answer = Callable[[httpx.Request], httpx.Response]


def api_that(answers: Answer, token: str | None = "t") -> Api:
    transport = httpx.MockTransport(answers)
    return Api(httpx.AsyncClient(transport=transport, base_url="http://api.example", trust_env=False), token)


async def test_ids_and_paths_cannot_leave_their_place_in_the_address() -> None:
    seen: list[str] = []

    def answers(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path.decode())
        return httpx.Response(200, json={"id": "x", "path": "/3/0/9"})

    api = api_that(answers)
    await api.device("../users?x=1#y")
    await api.ask_device("GET", "dev-1", "/3/../0/9")

    assert seen == ["/api/v1/devices/..%2Fusers%3Fx%3D1%23y", "/api/v1/devices/dev-1/objects/3/0/9"]


async def test_what_is_not_asked_for_is_left_out_of_the_query() -> None:
    seen: list[str] = []

    def answers(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.query.decode())
        return httpx.Response(200, json={"items": [], "next": None})

    await api_that(answers).devices({"farm": None, "status": "silent", "limit": 100})

    assert seen == ["status=silent&limit=100"]


async def test_a_bare_list_is_a_page_too() -> None:
    page = await api_that(lambda _: httpx.Response(200, json=[{"id": "frm-1", "name": "Tangen"}])).farms()

    assert [farm.name for farm in page] == ["Tangen"]


async def test_a_refusal_is_kept_as_the_api_said_it() -> None:
    said = {"type": "forbidden", "title": "Not yours", "status": 403, "why": "policy 7"}

    with pytest.raises(ProblemAnswered) as refused:
        await api_that(lambda _: httpx.Response(403, json=said)).health()

    assert (refused.value.status, dict(refused.value.problem)) == (403, said)


async def test_an_error_that_is_not_json_still_becomes_a_problem() -> None:
    with pytest.raises(ProblemAnswered) as refused:
        await api_that(lambda _: httpx.Response(502, text="<h1>Bad gateway</h1>")).health()

    assert refused.value.problem["type"] == "unavailable"


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("late"), httpx.ReadError("cut")])
async def test_an_api_that_does_not_answer_is_away(error: httpx.TransportError) -> None:
    def answers(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(Unavailable):
        await api_that(answers).health()


async def test_an_answer_of_another_shape_is_no_answer() -> None:
    with pytest.raises(Unavailable):
        await api_that(lambda _: httpx.Response(200, json={"id": 7, "vitals": "many"})).device("dev-1")


async def test_a_command_that_waits_is_told_from_an_answer() -> None:
    waiting = await api_that(lambda _: httpx.Response(202, json={"id": "cmd-1"})).ask_device("PUT", "d", "/1/0/1", {})
    done = await api_that(lambda _: httpx.Response(204)).ask_device("POST", "d", "/3/0/4", {})

    assert type(waiting).__name__ == "Command"
    assert (type(done).__name__, done.path) == ("Answer", "/3/0/4")


async def test_without_a_login_no_token_is_sent() -> None:
    seen: list[httpx.Request] = []

    def answers(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"token": "t", "expires_at": "2026-11-21T12:00:00Z"})

    await api_that(answers, token=None).log_in("ida@nordvik.example", "saltwater")

    assert "authorization" not in seen[0].headers


async def test_a_proxy_of_the_environment_is_not_on_the_way_to_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")

    async with connect("http://api.example") as client:
        assert not client.trust_env


async def test_a_client_waits_longer_for_an_answer_than_for_a_connection() -> None:
    async with connect("http://127.0.0.1:9") as client:
        assert client.timeout.connect is not None
        assert client.timeout.read is not None
        assert client.timeout.connect < client.timeout.read
