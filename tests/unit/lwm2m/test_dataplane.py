"""The data plane batch by batch: nothing is acknowledged before it is committed."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.errors import DeviceFault, Unavailable
from shoal.lwm2m import Device
from shoal.lwm2m.dataplane import (
    Answer,
    Batch,
    DataPlane,
    DeviceCredential,
    DeviceEntry,
    RestoredRegistration,
    decompress,
)
from tests.unit.lwm2m.conftest import CLEAR, KEY, PATIENCE, SECURE, until

AT_ONCE = timedelta(0)


def plane(**options: object) -> DataPlane:
    core = DataPlane([SECURE, CLEAR], boot="0a1b2c3d", **options)
    entry = DeviceEntry(
        "dev-1",
        "oxy-0417",
        [DeviceCredential.psk("crd-1", b"oxy-0417", KEY)],
        context='"farm":"f-1"',
        awake_window_s=0.1,
    )
    assert core.put_devices([entry]) == []
    return core


@pytest.fixture
async def core() -> AsyncIterator[DataPlane]:
    core = plane()
    yield core
    core.close()


def sensor(core: DataPlane, *, queue_mode: bool = False) -> Device:
    device = Device(
        "oxy-0417",
        core.addresses()[0],
        identity="oxy-0417",
        key=KEY,
        queue_mode=queue_mode,
        awake_window=timedelta(seconds=0.1),
    )
    device.set("/3/0/9", 87)
    return device


async def batch_with(core: DataPlane, kind: str) -> Batch:
    """Commits what comes, up to the first batch with such an event."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while True:
            batch = await asyncio.to_thread(core.next_batch, 8_192, 1.0)
            if batch is None:
                continue
            if any(event["type"] == kind for event in events_of(batch)):
                return batch
            core.committed(batch.seq)


async def answer_to(core: DataPlane, number: int) -> Answer:
    """Commits what comes, up to how a request ended."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while True:
            batch = await asyncio.to_thread(core.next_batch, 8_192, 1.0)
            if batch is None:
                continue
            core.committed(batch.seq)
            for answer in batch.answers():
                if answer.id == number and answer.outcome != "sent":
                    return answer


def events_of(batch: Batch) -> list[dict[str, object]]:
    return [json.loads(line) for _, _, body in batch.pages() for line in body.splitlines()]


async def test_a_registration_is_answered_when_its_event_is_committed(core: DataPlane) -> None:
    async with sensor(core) as device:
        batch = await batch_with(core, "registered")
        with pytest.raises(Unavailable):
            await device.registered(AT_ONCE)

        core.committed(batch.seq)

        await device.registered(PATIENCE)
    (event,) = events_of(batch)
    assert (event["device"], event["farm"], event["type"]) == ("dev-1", "f-1", "registered")


async def test_what_the_log_refuses_is_refused_to_the_device(core: DataPlane) -> None:
    async with sensor(core) as device:
        core.committed((await batch_with(core, "registered")).seq)
        await device.registered(PATIENCE)
        sent = asyncio.create_task(device.send("/3/0/9"))

        core.refused((await batch_with(core, "readings")).seq)

        with pytest.raises(DeviceFault) as caught:
            await sent
        assert caught.value.code == "5.03"


async def test_who_is_behind_takes_nothing_more_in() -> None:
    core = plane(uncommitted_bytes_max=1)
    async with sensor(core) as device:
        core.committed((await batch_with(core, "registered")).seq)
        await device.registered(PATIENCE)
        first = asyncio.create_task(device.send("/3/0/9"))
        behind = await batch_with(core, "readings")

        with pytest.raises(DeviceFault) as caught:
            await device.send("/3/0/9")

        assert caught.value.code == "5.03"
        assert core.stats()["busy"] == 1
        core.committed(behind.seq)
        await first


async def test_an_impatient_owner_has_answers_at_once() -> None:
    core = plane(acknowledge_at_once=True)

    async with sensor(core) as device:
        await device.registered(PATIENCE)


async def test_pages_frames_and_messages_tell_the_same(core: DataPlane) -> None:
    async with sensor(core):
        batch = await batch_with(core, "registered")

    ((partition, count, body),) = batch.pages()
    ((same_partition, same_count, frame),) = batch.pages_zstd(1)
    messages = batch.messages()

    assert (partition, count) == (same_partition, same_count) == (0, batch.count) == (0, 1)
    assert decompress(frame) == body
    assert messages == [(0, b"dev-1", body.removesuffix(b"\n"))]


async def test_a_damaged_frame_is_refused(core: DataPlane) -> None:
    async with sensor(core):
        ((_, _, frame),) = (await batch_with(core, "registered")).pages_zstd(1)

    for damaged in (b"", b"no frame at all", frame[:-1], frame[: len(frame) // 2]):
        with pytest.raises(ValueError, match=r"\w"):
            decompress(damaged)


def test_a_frame_never_decides_how_much_memory_it_gets() -> None:
    # RFC 8878 §3.1.1: magic number, a single segment with four bytes of content size, and that size.
    promises_a_gigabyte = bytes.fromhex("28b52ffda0") + (1 << 30).to_bytes(4, "little")

    with pytest.raises(ValueError, match="more than a page"):
        decompress(promises_a_gigabyte)


async def test_a_device_stays_in_its_partition() -> None:
    one, other = plane(partitions=16), plane(partitions=16)
    found = []
    for core in (one, other):
        async with sensor(core):
            ((partition, _, _),) = (await batch_with(core, "registered")).pages()
            found.append(partition)

    assert found[0] == found[1]


async def test_every_partition_says_that_it_is_complete() -> None:
    core = plane(partitions=3, heartbeat_s=0.05, linger_ms=50.0)

    batch = await batch_with(core, "heartbeat")

    assert {event["partition"] for event in events_of(batch)} <= {0, 1, 2}
    assert core.stats()["events"] >= 3


async def test_a_request_to_a_sleeping_device_waits_until_it_wakes(core: DataPlane) -> None:
    async with sensor(core, queue_mode=True) as device:
        core.committed((await batch_with(core, "registered")).seq)
        await device.registered(PATIENCE)
        await until(lambda: not core.registrations()[0].is_awake)

        core.submit([(7, "dev-1", "read", "/3/0/9", None, 60.0, True)])
        assert core.stats()["waiting"] == 1
        update = asyncio.create_task(device.update())
        answer = await answer_to(core, 7)
        await update

    assert (answer.outcome, answer.code) == ("answered", "2.05")
    assert json.loads(answer.body or b"")["content"] == [{"path": "/3/0/9", "value": 87, "type": "integer"}]
    assert answer.trip_s is not None


async def test_a_request_that_may_not_wait_ends_at_once(core: DataPlane) -> None:
    core.submit([(7, "dev-1", "read", "/3/0/9", None, 60.0, False)])

    assert (await answer_to(core, 7)).outcome == "unregistered"


async def test_a_request_that_waits_can_be_taken_back(core: DataPlane) -> None:
    core.submit([(7, "dev-1", "read", "/3/0/9", None, 60.0, True)])

    core.cancel(7)

    assert (await answer_to(core, 7)).outcome == "cancelled"


@pytest.mark.parametrize(
    ("operation", "path", "body", "expires_in_s"),
    [
        ("unscrew", "/3/0/9", None, 60.0),
        ("read", "/3/0/nine", None, 60.0),
        ("write", "/3/0/14", b"{", 60.0),
        ("read", "/3/0/9", None, -1.0),
        ("read", "/3/0/9", None, float("nan")),
    ],
)
async def test_a_request_that_makes_no_sense_is_answered_like_any_other(
    core: DataPlane, operation: str, path: str, body: bytes | None, expires_in_s: float
) -> None:
    core.submit([(7, "dev-1", operation, path, body, expires_in_s, True)])

    answer = await answer_to(core, 7)

    assert (answer.outcome, answer.code) == ("refused", None)
    assert answer.detail


def test_a_device_that_cannot_be_taken_in_is_named_and_the_others_are_taken(core: DataPlane) -> None:
    twin = DeviceEntry("dev-2", "cam-7", [DeviceCredential.psk("crd-2", b"oxy-0417", KEY)])
    other = DeviceEntry("dev-3", "cam-8", [DeviceCredential.psk("crd-3", b"cam-8", KEY)])

    refused = core.put_devices([twin, other])

    assert [device for device, _ in refused] == ["dev-2"]
    assert "dev-1" in refused[0][1]
    assert core.stats()["devices"] == 2


def test_a_digest_has_its_length() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        DeviceCredential.pinned("crd-1", "ten-1", bytes(31))
    with pytest.raises(ValueError, match="0 bytes"):
        DeviceCredential.subject("crd-1", "ten-1", bytes(32), b"")


def test_a_key_is_never_shown() -> None:
    entry = DeviceEntry("dev-1", "oxy-0417", [DeviceCredential.psk("crd-1", b"oxy-0417", b"do-not-show-this")])

    assert "show" not in repr(entry)


def test_a_registration_survives_a_restart(core: DataPlane) -> None:
    def registration(device: str, number: str) -> RestoredRegistration:
        return RestoredRegistration(
            device,
            number,
            lifetime_s=300,
            version="1.1",
            binding="U",
            queue_mode=False,
            objects=[("/3/0", None), ("/3303/0", "1.1")],
        )

    refused = core.restore(
        [registration("dev-1", "guess"), registration("dev-1", "00112233aabbccdd"), registration("dev-9", "0" * 16)]
    )

    assert [device for device, _ in refused] == ["dev-1"]
    (state,) = core.registrations()
    assert (state.device, state.registration, state.lifetime_s) == ("dev-1", "00112233aabbccdd", 300)
    assert (state.is_awake, state.address, state.objects) == (False, None, [("/3/0", None), ("/3303/0", "1.1")])
    assert core.registrations("dev-1") == []


async def test_a_file_is_served_as_it_was_announced(core: DataPlane, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"announced" * 500)
    async with sensor(core) as device:
        core.committed((await batch_with(core, "registered")).seq)
        await device.registered(PATIENCE)
        assert core.put_file("t/model.bin", file, b"\x01", ["dev-1"]) == 4_500

        newer = tmp_path / "newer.bin"
        newer.write_bytes(b"something else")
        newer.replace(file)

        assert await device.fetch(f"{core.addresses()[0]}/fw/t/model.bin") == b"announced" * 500
        core.remove_file("t/model.bin")


def test_a_file_that_cannot_be_served_is_named(core: DataPlane, tmp_path: Path) -> None:
    missing = tmp_path / "missing.bin"
    file = tmp_path / "model.bin"
    file.write_bytes(b"x")

    with pytest.raises(FileNotFoundError) as caught:
        core.put_file("model", missing, b"\x01", [])
    with pytest.raises(OSError, match="not a regular file"):
        core.put_file("model", tmp_path, b"\x01", [])
    with pytest.raises(ValueError, match="ETag"):
        core.put_file("model", file, b"", [])

    assert caught.value.filename == str(missing)


@pytest.mark.parametrize(
    ("listen", "options", "reason"),
    [
        ([], {}, "addresses to listen on"),
        (["127.0.0.1:5684"], {}, "not of the form coaps://HOST:PORT"),
        (["coap://no.such.host.invalid"], {}, "no such host"),
        ([CLEAR], {"boot": 'a"b'}, "boot"),
        ([CLEAR], {"boot": ""}, "boot"),
        ([CLEAR], {"linger_ms": -1.0}, "linger_ms"),
    ],
)
def test_options_that_make_no_sense_are_refused(listen: list[str], options: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        DataPlane(listen, **{"boot": "0a1b2c3d", **options})


async def test_closing_lets_the_last_batches_be_taken_and_the_last_answers_leave(core: DataPlane) -> None:
    async with sensor(core) as device:
        core.committed((await batch_with(core, "registered")).seq)
        await device.registered(PATIENCE)
        sent = asyncio.create_task(device.send("/3/0/9"))
        await until(lambda: core.stats()["send"] == 1)

        core.close()
        assert not core.wait_closed(0.0)
        last = core.next_batch(8_192, 60.0)
        assert last is not None
        assert core.next_batch(8_192, 60.0) is None
        core.committed(last.seq)

        await sent
        assert core.wait_closed(10.0)
    assert [event["type"] for event in events_of(last)] == ["readings"]
    assert core.stats() == {}
    core.close()
