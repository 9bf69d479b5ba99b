"""What the owner of a device is told and asked."""

import asyncio
from datetime import timedelta

import pytest

from shoal.lwm2m import Path, Refusal
from shoal.lwm2m.objects import known_objects
from shoal.lwm2m.owner import Owner
from shoal.lwm2m.value import Scalar


def owner() -> tuple[Owner, dict[str, Scalar]]:
    values: dict[str, Scalar] = {}
    return Owner("s-1", values.__setitem__, known_objects()), values


async def test_a_source_is_measured_at_above_and_beneath_a_path() -> None:
    one, values = owner()
    one.sources[Path.parse("/3303/0/5700")] = lambda: 9.5

    for path in ("/3303/0/5700", "/3303", "/"):
        values.clear()
        await one.measure(path)
        assert values == {"/3303/0/5700": 9.5}
    values.clear()
    await one.measure("/3/0/9")
    assert values == {}


async def test_a_source_that_fails_while_nobody_waits_is_reported_and_asked_again() -> None:
    one, values = owner()
    reported: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(str(context["exception"])))
    answers: list[float | Exception] = [RuntimeError("loose"), Refusal("5.03"), 4.5]

    async def measured() -> float:
        answer = answers.pop(0)
        if not answers:
            one.sources.clear()
        if isinstance(answer, Exception):
            raise answer
        return answer

    one.sources[Path.parse("/3303/0/5700")] = measured
    one.every[Path.parse("/3303/0/5700")] = timedelta(0)
    one.measure_on()
    await one.measuring[Path.parse("/3303/0/5700")]

    assert (values, reported) == ({"/3303/0/5700": 4.5}, ["loose"])


async def test_what_belongs_to_an_instance_goes_with_it() -> None:
    one, values = owner()
    told: list[Scalar] = []
    for instance in (0, 1):
        one.on_write.append((Path.parse(f"/3303/{instance}"), lambda _, value: told.append(value)))
        one.sources[Path.parse(f"/3303/{instance}/5700")] = lambda: 1.5

    one.forget(Path.parse("/3303/1"))
    one.tell(Path.parse("/3303/0/5701"), "Cel")
    one.tell(Path.parse("/3303/1/5701"), "K")
    await one.measure("/3303")

    assert (told, list(values)) == (["Cel"], ["/3303/0/5700"])


async def test_a_resource_is_measured_by_one_task_that_ends_with_its_instance() -> None:
    one, _ = owner()
    path = Path.parse("/3303/0/5700")
    begun: list[asyncio.Task[None]] = []
    for _time in range(3):
        one.sources[path] = lambda: 1.5
        one.every[path] = timedelta(hours=1)
        one.measure_on()
        one.measure_on()
        begun.append(one.measuring[path])
        await asyncio.sleep(0)
        one.forget(Path.parse("/3303/0"))
    await asyncio.wait(begun, timeout=20)

    assert (len(set(begun)), one.measuring) == (3, {})
    assert all(task.cancelled() for task in begun)


async def test_a_maker_that_refuses_after_a_restart_is_reported() -> None:
    one, _ = owner()
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(str(context["message"])))

    def refuse(path: str, values: object) -> None:
        raise Refusal("4.00", "no more")

    one.makers[3303] = refuse
    await one.make_again("/3303/4", {})

    assert reported == ["s-1: the handler of /3303/4 failed"]


async def test_a_task_that_fails_is_reported_when_it_does() -> None:
    one, _ = owner()
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(str(context["exception"])))

    async def fail(path: str, value: Scalar) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("later")

    one.on_write.append((Path.parse("/3"), fail))
    one.tell(Path.parse("/3/0/14"), "+02:00")
    async with asyncio.timeout(20):
        while one.tasks:  # noqa: ASYNC110  # nobody tells of it
            await asyncio.sleep(0)

    assert reported == ["later"]


def test_a_refusal_says_its_code_and_its_reason() -> None:
    with pytest.raises(Refusal) as caught:
        raise Refusal("4.05", "not in this state")

    assert (caught.value.code, caught.value.reason) == ("4.05", "not in this state")
