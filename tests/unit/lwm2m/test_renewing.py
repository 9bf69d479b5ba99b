"""A device renews its certificate over the years, with a server that is away, says no, or does not take what it gave."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from shoal.clock import FakeClock
from shoal.errors import Rejected
from shoal.lwm2m.certificates import Certificate
from shoal.lwm2m.renewal import Pair, Pairs, Renewal, load_pairs, save_pairs
from shoal.lwm2m.renewing import ENROL, RENEW, Answer, Renewing
from tests.unit.lwm2m.signer import Signer

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
LIFE = timedelta(days=360)
SERVER_CA: Final = (b"who vouches for the server",)


class PowerCut(BaseException):
    """Nothing more happens, wherever the device was."""


class World:
    """A device and its server. The clock goes on while the device waits, and the power goes at the step that is said."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(NOW)
        self.file = folder / "cam-9.json"
        self.signer = Signer()
        self.shown: Certificate | None = None
        # What each story may change: what the server says, whom it lets in, whether it is there.
        self.says: Callable[[], Answer | None] = lambda: None
        self.lets_in: Callable[[Certificate | None], bool] = lambda shown: True
        self.asked: list[tuple[str, datetime]] = []
        self.slept: list[float] = []
        self.troubles: list[str] = []
        self.proved: list[bytes | None] = []
        self.steps_left: int | None = None
        self.until = NOW + 2 * LIFE

    def renewing(self, given: Pair | None) -> Renewing:
        renewal = Renewal(file=self.file, authorities=SERVER_CA, on_trouble=self.troubles.append)
        certificate = None if given is None else Certificate(given.chain, given.key, SERVER_CA)
        return Renewing("cam-9", renewal, certificate, self, clock=self.clock, sleep=self.sleep, share=0)

    async def live(self, given: Pair | None) -> Renewing:
        """From a start of the device until its power goes, or the story is over."""
        made = self.renewing(given)
        self.shown = made.begin()
        try:
            await made.run()
        except PowerCut:
            return made

    def step(self) -> None:
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise PowerCut

    async def sleep(self, seconds: float) -> None:
        self.step()
        self.slept.append(seconds)
        self.clock.advance(timedelta(seconds=seconds))
        if self.clock.now() >= self.until:
            raise PowerCut

    async def ask(self, path: str, request: bytes) -> Answer:
        self.step()
        self.asked.append((path, self.clock.now()))
        said = self.says()
        # The power may go after the server has signed, too.
        answer = said or Answer("2.04", self.signer.answer(request, self.clock.now(), LIFE))
        self.step()
        return answer

    async def prove(self, certificate: Certificate | None) -> None:
        self.step()
        self.shown = certificate
        self.proved.append(None if certificate is None else certificate.chain[0])
        if certificate is not None:
            kept = load_pairs(self.file)
            pairs = [pair for pair in (kept.current, kept.next) if pair is not None]
            assert (certificate.key, certificate.chain) in [(pair.key, pair.chain) for pair in pairs], (
                "kept before used"
            )
            assert certificate.authorities == SERVER_CA

    async def is_registered(self, within: timedelta) -> bool:
        self.step()
        if self.lets_in(self.shown):
            return True
        self.clock.advance(within)
        if self.clock.now() >= self.until:
            raise PowerCut
        return False


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_certificate_is_renewed_at_two_thirds_of_its_life_again_and_again(world: World) -> None:
    given = world.signer.pair("cam-9", NOW, LIFE)

    await world.live(given)

    kept = load_pairs(world.file)
    assert [(path, (at - NOW).days) for path, at in world.asked] == [(RENEW, 240), (RENEW, 480)]
    assert kept.current is not None
    assert kept.next is None
    assert world.shown is not None
    assert (world.shown.key, world.shown.chain) == (kept.current.key, kept.current.chain)
    assert given.key != kept.current.key
    assert len(kept.current.chain) == 2
    assert world.troubles == []


async def test_a_device_with_a_key_alone_enrols_at_once_and_renews_from_then_on(world: World) -> None:
    made = await world.live(None)

    assert [(path, (at - NOW).days) for path, at in world.asked] == [
        (ENROL, 0),
        (RENEW, 240),
        (RENEW, 480),
    ]
    assert made.expires_at is not None


async def test_while_the_server_says_no_it_is_asked_again_with_the_same_key_and_ever_more_patience(
    world: World,
) -> None:
    given = world.signer.pair("cam-9", NOW - 0.7 * LIFE, LIFE)
    refusals = [Answer("4.03", detail="not yours"), Answer(None), Answer("5.03", retry_after_s=3_600)]
    keys = set()

    def says() -> Answer | None:
        following = load_pairs(world.file).next
        assert following is not None
        keys.add(following.key)
        return refusals.pop(0) if refusals else None

    world.says, world.until = says, NOW + timedelta(days=1)
    await world.live(given)

    assert world.slept[:3] == [60, 120, 3_600]
    assert world.troubles == ["4.03 not yours", "the server did not answer", "5.03"]
    assert len(keys) == 1
    assert world.proved == [load_pairs(world.file).current.chain[0]]  # type: ignore[union-attr]  # it is there


async def test_a_certificate_that_the_server_does_not_take_is_given_up_and_the_old_one_goes_on(world: World) -> None:
    given = world.signer.pair("cam-9", NOW - 0.7 * LIFE, LIFE)
    world.lets_in = lambda shown: shown is not None and shown.key == given.key
    world.until = NOW + timedelta(minutes=2)

    await world.live(given)

    assert world.shown is not None
    assert world.shown.key == given.key
    assert load_pairs(world.file) == Pairs(current=given)
    assert world.troubles == ["the server does not let the device in with its new certificate"]


async def test_while_the_server_is_away_neither_is_given_up(world: World) -> None:
    given, following = world.signer.pair("cam-9", NOW - 0.7 * LIFE, LIFE), world.signer.pair("cam-9", NOW, LIFE)
    save_pairs(world.file, Pairs(current=given, next=following))
    world.lets_in = lambda shown: False
    world.until = NOW + timedelta(hours=1)
    await world.live(given)

    assert load_pairs(world.file) == Pairs(current=given, next=following)
    assert {following.chain[0], given.chain[0]} == set(world.proved)

    world.lets_in, world.until = (lambda shown: True), NOW + timedelta(hours=2)
    await world.live(given)
    assert load_pairs(world.file) == Pairs(current=following)
    assert world.asked == []


async def test_a_device_that_may_not_write_its_file_uses_nothing_new(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = world.signer.pair("cam-9", NOW - 0.7 * LIFE, LIFE)
    world.until = NOW + timedelta(hours=1)

    def full(file: Path, pairs: Pairs) -> None:
        del file, pairs
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shoal.lwm2m.renewing.save_pairs", full)
    await world.live(given)

    assert (world.asked, world.proved) == ([], [])
    assert "No space left" in world.troubles[0]


@pytest.mark.parametrize("has_certificate", [True, False])
async def test_wherever_the_power_goes_the_device_comes_back_and_ends_with_a_new_pair(
    tmp_path: Path, has_certificate: bool
) -> None:
    for steps in range(40):
        folder = tmp_path / f"cut-{steps}"
        folder.mkdir()
        world = World(folder)
        given = world.signer.pair("cam-9", NOW - 0.7 * LIFE, LIFE) if has_certificate else None
        world.steps_left = steps
        await world.live(given)

        world.steps_left, world.until = None, world.clock.now() + timedelta(days=2)
        begins = world.renewing(given).begin()
        assert (begins is not None) == (has_certificate or load_pairs(world.file).current is not None)
        await world.live(given)

        kept = load_pairs(world.file)
        assert kept.current is not None, steps
        assert given is None or kept.current.key != given.key, steps
        assert kept.next is None, steps


async def test_a_damaged_file_is_told_before_the_device_starts(world: World) -> None:
    world.file.write_text("{")

    with pytest.raises(Rejected, match="damaged"):
        world.renewing(None).begin()
