"""Eclipse Leshan's client against our server: what a client that others wrote can do with us, over DTLS."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest

from shoal.errors import DeviceFault
from shoal.lwm2m import Deregistered, Registered, Reported, Server
from shoal.lwm2m.server_events import Observation, Refused, Security
from tests.harness.listener import Listener, listening
from tests.harness.nat import nat
from tests.harness.peers import KEY, NAME, LeshanPeer, leshan

pytestmark = [pytest.mark.leshan, pytest.mark.timeout(300)]

TEMPERATURE: Final = "/3303/0/5700"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    keys = {NAME: KEY, "leshan-2": bytes(16)}
    async with Server("coaps://127.0.0.1:0", credentials=keys) as running:
        yield running


@pytest.fixture
async def listener(server: Server) -> AsyncIterator[Listener]:
    async with listening(server) as made:
        yield made


@pytest.fixture
async def peer(server: Server, listener: Listener) -> AsyncIterator[LeshanPeer]:
    async with leshan(server.addresses[0], NAME, identity=NAME, key_hex=KEY.hex(), enclosure="enc-1") as client:
        await client.says("registered")
        yield client


async def test_it_registers_with_what_it_has_and_where_it_hangs(peer: LeshanPeer, listener: Listener) -> None:
    registered = await listener.hears(Registered)

    assert (registered.endpoint, registered.version, registered.lifetime_s) == (NAME, "1.1", 60)
    assert (registered.secure, registered.queue_mode) == (True, False)
    assert registered.attributes["enclosure"] == "enc-1"
    assert {path for path, _version in registered.objects} >= {"/1/0", "/3/0", "/3303/0"}
    assert f"registered /rd/{registered.registration}" in peer.said


async def test_it_answers_reads_of_a_resource_an_instance_and_an_object(peer: LeshanPeer, server: Server) -> None:
    assert await server.read(NAME, "/3/0/9") == 87
    assert await server.read(NAME, TEMPERATURE) == 20.0
    assert await server.read(NAME, "/3303/0") == {
        "/3303/0/5602": 20.0,
        TEMPERATURE: 20.0,
        "/3303/0/5701": "Cel",
    }
    device = await server.read(NAME, "/3")
    assert isinstance(device, dict)
    assert (device["/3/0/0"], device["/3/0/11/0"], device["/3/0/15"]) == ("Leshan", 0, "Europe/Oslo")


async def test_it_takes_writes_and_executes(peer: LeshanPeer, server: Server) -> None:
    await server.write(NAME, "/3/0/15", "Atlantic/Faroe")
    await peer.says("written /3/0/15 Atlantic/Faroe")
    assert await server.read(NAME, "/3/0/15") == "Atlantic/Faroe"

    await server.execute(NAME, "/3303/0/5605")
    await peer.says("executed /3303/0/5605")


async def test_its_refusals_come_with_their_code(peer: LeshanPeer, server: Server) -> None:
    with pytest.raises(DeviceFault) as missing:
        await server.read(NAME, "/3303/7")
    with pytest.raises(DeviceFault) as read_only:
        await server.write(NAME, "/3/0/0", "Somebody Else")

    assert missing.value.code == "4.04"
    assert read_only.value.code == "4.05"


async def test_it_is_discovered(peer: LeshanPeer, server: Server) -> None:
    paths = await server.discover(NAME, "/3303/0")

    assert paths.keys() >= {"/3303/0/5700", "/3303/0/5605"}


async def test_what_is_observed_comes_as_readings_until_it_is_cancelled(
    peer: LeshanPeer, server: Server, listener: Listener
) -> None:
    await server.observe(NAME, TEMPERATURE)
    await listener.hears(Observation, lambda event: event.path == TEMPERATURE)

    for value in (21.5, 22.25):
        await peer.tell(f"value {value}")
        reported = await listener.hears(Reported, lambda event, value=value: _values(event) == {TEMPERATURE: value})
        assert reported.via == "notify"

    await server.cancel_observation(NAME, TEMPERATURE)
    await peer.tell("value 30")
    assert await server.read(NAME, TEMPERATURE) == 30
    assert all(event.via != "notify" for event in listener.heard(Reported) if _values(event) == {TEMPERATURE: 30})


async def test_several_paths_are_read_and_written_with_one_request(
    peer: LeshanPeer, server: Server, listener: Listener
) -> None:
    await server.write_composite(NAME, {"/3/0/15": "Atlantic/Faroe"})
    found = await server.read_composite(NAME, ["/3/0/15", TEMPERATURE, "/3/0/9"])

    await peer.says("written /3/0/15 Atlantic/Faroe")
    assert found.keys() == {"/3/0/15", TEMPERATURE, "/3/0/9"}
    assert (found["/3/0/15"], found["/3/0/9"], found.failed) == ("Atlantic/Faroe", 87, {})
    assert server._core.stats()["composites_divided"] == 0


async def test_several_paths_are_one_observation_until_it_is_cancelled(
    peer: LeshanPeer, server: Server, listener: Listener
) -> None:
    found = await server.observe(NAME, TEMPERATURE, "/3/0/9")
    assert found.keys() == {TEMPERATURE, "/3/0/9"}

    await peer.tell("value 21.5")
    # All of it in one report, whichever changed: it is one observation (RFC 7641 §1.2).
    expected = {TEMPERATURE: 21.5, "/3/0/9": 87}
    reported = await listener.hears(Reported, lambda event: _values(event) == expected)
    assert reported.via == "notify"

    await server.cancel_observation(NAME, "/3/0/9", TEMPERATURE)
    cancelled = {event.path for event in listener.heard(Observation) if event.state == "cancelled"}
    await listener.hears(Observation, lambda event: (event.path, event.state) == (TEMPERATURE, "cancelled"))
    assert cancelled <= {TEMPERATURE, "/3/0/9"}


@pytest.mark.parametrize("content_format", ["SENML_JSON", "SENML_CBOR"])
async def test_what_it_sends_is_answered_once_we_have_it(
    peer: LeshanPeer, listener: Listener, content_format: str
) -> None:
    await peer.tell("value 8.125")
    await peer.tell(f"send {content_format} {TEMPERATURE}")

    assert await peer.says("sent") == "sent CHANGED"
    reported = await listener.hears(Reported, lambda event: event.via == "send")
    assert _values(reported) == {TEMPERATURE: 8.125}


@pytest.mark.parametrize("content_format", ["TLV", "JSON", "SENML_JSON", "SENML_CBOR"])
async def test_a_client_that_speaks_one_format_only_is_spoken_to_in_that(
    server: Server, listener: Listener, content_format: str
) -> None:
    uri = server.addresses[0]
    async with leshan(uri, NAME, identity=NAME, key_hex=KEY.hex(), formats=[content_format]) as peer:
        await peer.says("registered")

        device = await server.read(NAME, "/3/0")
        await server.write(NAME, "/3/0/15", "Atlantic/Faroe")
        await server.observe(NAME, "/3303/0")
        await peer.tell("value -3.5")

        assert isinstance(device, dict)
        assert (device["/3/0/1"], device["/3/0/9"], device["/3/0/11/0"]) == ("headless peer", 87, 0)
        await peer.says("written /3/0/15 Atlantic/Faroe")
        reported = await listener.hears(Reported, lambda event: _values(event).get(TEMPERATURE) == -3.5)
        assert (reported.via, _values(reported)["/3303/0/5701"]) == ("notify", "Cel")


@pytest.mark.parametrize("content_format", ["TEXT", "CBOR"])
async def test_a_client_that_speaks_of_single_values_only_is_asked_for_them(
    server: Server, listener: Listener, content_format: str
) -> None:
    uri = server.addresses[0]
    async with leshan(uri, NAME, identity=NAME, key_hex=KEY.hex(), formats=[content_format]) as peer:
        await peer.says("registered")

        assert await server.read(NAME, "/3/0/9") == 87
        await server.write(NAME, "/3/0/15", "Atlantic/Faroe")
        await server.observe(NAME, TEMPERATURE)
        await peer.tell("value -3.5")

        await peer.says("written /3/0/15 Atlantic/Faroe")
        await listener.hears(Reported, lambda event: _values(event).get(TEMPERATURE) == -3.5)


async def test_it_renews_and_says_goodbye(peer: LeshanPeer, server: Server, listener: Listener) -> None:
    registered = await listener.hears(Registered)

    await peer.tell("update")
    await peer.says("updated")
    await peer.stop()

    goodbye = await listener.hears(Deregistered)
    assert goodbye.registration == registered.registration
    assert len(listener.heard(Registered)) == 1
    with pytest.raises(DeviceFault):
        await server.read(NAME, "/3/0/9", timeout=timedelta(seconds=1))


async def test_with_a_connection_id_a_new_port_is_still_the_same_device(server: Server, listener: Listener) -> None:
    async with (
        nat(server.addresses[0]) as router,
        leshan(router.uri, NAME, identity=NAME, key_hex=KEY.hex(), connection_id_length=0) as peer,
    ):
        await peer.says("registered")
        await router.forget()

        await peer.tell(f"send SENML_CBOR {TEMPERATURE}")
        assert await peer.says("sent") == "sent CHANGED"

        # We find it there, too.
        assert await server.read(NAME, "/3/0/9") == 87
        await peer.tell("update")
        await peer.says("updated")

    assert len(listener.heard(Registered)) == 1
    assert listener.heard(Security) == []


async def test_a_client_in_queue_mode_says_so(server: Server, listener: Listener) -> None:
    async with leshan(server.addresses[0], NAME, identity=NAME, key_hex=KEY.hex(), queue_mode=True) as peer:
        await peer.says("registered")

        assert (await listener.hears(Registered)).queue_mode
        # It has just spoken, so it listens.
        assert await server.read(NAME, "/3/0/9") == 87


async def test_in_the_clear_it_registers_and_is_asked() -> None:
    async with (
        Server("coap://127.0.0.1:0", endpoints=["plain"]) as server,
        listening(server) as listener,
        leshan(server.addresses[0], "plain") as peer,
    ):
        await peer.says("registered")
        assert not (await listener.hears(Registered)).secure

        assert await server.read("plain", "/3/0/9") == 87
        await server.observe("plain", TEMPERATURE)
        await listener.hears(Reported, lambda event: TEMPERATURE in _values(event))


async def test_with_a_wrong_key_it_never_registers(server: Server, listener: Listener) -> None:
    async with leshan(server.addresses[0], NAME, identity=NAME, key_hex="00" * 16) as peer:
        refusal = await listener.hears(Security)
        await peer.says("refused", "timeout")

    assert (refusal.reason, refusal.identity) == ("wrong_key", NAME)
    assert listener.heard(Registered) == []


async def test_an_identity_that_we_do_not_know_never_registers(server: Server, listener: Listener) -> None:
    async with leshan(server.addresses[0], NAME, identity="stranger", key_hex=KEY.hex()) as peer:
        refusal = await listener.hears(Security)
        await peer.says("refused", "timeout")

    assert (refusal.reason, refusal.identity) == ("unknown_identity", "stranger")
    assert listener.heard(Registered) == []


async def test_the_name_of_another_device_is_refused(server: Server, listener: Listener) -> None:
    async with leshan(server.addresses[0], "leshan-2", identity=NAME, key_hex=KEY.hex()) as peer:
        assert await peer.says("refused") == "refused BAD_REQUEST"
        refusal = await listener.hears(Security)

    assert (refusal.reason, refusal.identity) == ("endpoint_mismatch", NAME)
    assert listener.heard(Registered) == []
    assert [event.code for event in listener.heard(Refused)] in ([], ["4.00"])


def _values(event: Reported) -> dict[str, object]:
    return {reading.path: reading.value for reading in event.readings}
