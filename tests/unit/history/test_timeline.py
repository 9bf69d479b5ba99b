"""What a device's page says about the past."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shoal.events.alert import AlertAcknowledged, AlertChanged, AlertOpened, AlertResolved
from shoal.events.campaign import UpdateChanged, VersionDrifted, VersionRestored
from shoal.events.codec import AnyEvent
from shoal.events.condition import StatusChanged, Verdict
from shoal.events.dead import RecordBuried
from shoal.events.device import BootstrapChanged, Claim, CommandChanged, DownloadProgressed, Heartbeat
from shoal.history.timeline import line, span
from tests.harness import findings
from tests.harness.voices import Voice, moved

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
VOICE = Voice()
# Of a device that hangs nowhere yet.
NOWHERE = moved(Voice(), farm=None, enclosure=None)


def command(state: str, **more: Any) -> CommandChanged:
    return CommandChanged(
        id=f"c-{state}",
        time=NOON,
        device="dev-1",
        tenant="ten-1",
        command="cmd-1",
        operation="write_attributes",
        path="/3303/0",
        state=state,
        **more,
    )


def version(kind: type[VersionDrifted | VersionRestored], reported: str) -> VersionDrifted | VersionRestored:
    return kind(
        id="v",
        time=NOON,
        update="upd-1",
        tenant="ten-1",
        farm="frm-1",
        device="dev-1",
        kind="model",
        name="fish-count",
        version="2.2.0",
        reported=reported,
    )


def update(
    state: str, *, was: str | None = "downloading", reason: str = "", undoes: str | None = None
) -> UpdateChanged:
    return UpdateChanged(
        id=f"u-{state}",
        time=NOON,
        update="upd-1",
        tenant="ten-1",
        farm="frm-1",
        device="dev-1",
        artifact="art-1",
        name="fish-count",
        version="2.2.0",
        state=state,
        was=was,
        reason=reason,
        undoes=undoes,
    )


def bootstrap(state: str, **more: Any) -> BootstrapChanged:
    return BootstrapChanged(id="b", time=NOON, tenant="ten-1", device="dev-1", state=state, **more)


def status(word: str, was: str, cause: str | None) -> StatusChanged:
    return StatusChanged(
        id="s", time=NOON, tenant="ten-1", device="dev-1", farm=None, status=word, was=was, cause=cause
    )


ALERT: dict[str, Any] = {
    "id": "a",
    "time": NOON,
    "alert": "alr-1",
    "code": "K7CC",
    "tenant": "ten-1",
    "farm": "frm-1",
    "enclosure": "enc-1",
    "device": "dev-1",
    "condition": "silent",
    "severity": "high",
    "headline": "cam-1 is silent",
    "verdict": Verdict(cause="unknown", says=""),
    "opened_at": NOON,
}


@pytest.mark.parametrize(
    ("event", "kind", "says"),
    [
        (VOICE.registered(NOON), "registration", "Registered: LwM2M 1.1, lifetime 5 min"),
        (VOICE.updated(NOON, lifetime_s=90), "registration", "Updated: its lifetime is now 90 s"),
        (VOICE.updated(NOON, queue_mode=True), "registration", "Updated: it sleeps between reports now"),
        (
            VOICE.updated(NOON, objects=[], claim=Claim(enclosure="enc-2", via="option")),
            "registration",
            "Updated: its objects changed, it says that it is in enc-2",
        ),
        (VOICE.deregistered(NOON), "registration", "Said goodbye"),
        (VOICE.expired(NOON), "registration", "Its registration ended: not heard from within its lifetime"),
        (VOICE.observation(NOON, "/3/0/9", "refused"), "observation", "Refused to report /3/0/9: no answer"),
        (VOICE.observation(NOON, "/3/0/9", "lost"), "observation", "No longer reports /3/0/9"),
        (
            VOICE.observation(NOON, "/3/0/9", "drifted"),
            "observation",
            "Reports /3/0/9 by other rules than ours: none",
        ),
        (VOICE.refused(NOON), "refused", "We refused its update: registration unknown"),
        (VOICE.intruded(NOON, count=3), "security", "Not let in: bad key, 3 times"),
        (VOICE.intruded(NOON), "security", "Not let in: bad key"),
        (bootstrap("requested"), "registration", "Asked for an account"),
        (bootstrap("requested", again=True), "registration", "Asked for an account once more, in the middle"),
        (bootstrap("finished"), "registration", "Was given new keys"),
        (
            bootstrap("refused", path="/0/1", code="4.00", detail="no"),
            "registration",
            "Did not take its account: /0/1 4.00 no",
        ),
        (bootstrap("refused"), "registration", "Did not take its account: there is none for it"),
        (bootstrap("timed_out"), "registration", "Fell silent before it had its account"),
        (command("queued", by="Kari"), "command", "Write attributes /3303/0: queued by Kari"),
        (command("refused", code="4.05"), "command", "Write attributes /3303/0: refused by the device: 4.05"),
        (
            command("queued", paths=["/3/0/9", "/3/0/13", "/4/0/2", "/3303/0"]),
            "command",
            "Write attributes /3/0/9, /3/0/13, /4/0/2 and 1 more: queued",
        ),
        (command("expired"), "command", "Write attributes /3303/0: expired before the device was awake"),
        (VOICE.placed(NOON, "agreed", by="Kari"), "place", "It is in enc-1 (by Kari)"),
        (
            VOICE.placed(NOON, "mismatch", "enc-2"),
            "place",
            "It says that it is in enc-2; we have it in enc-1",
        ),
        (
            NOWHERE.placed(NOON, "agreed", "enc-2"),
            "place",
            "It says that it is in enc-2, and waits for approval",
        ),
        (NOWHERE.placed(NOON, "agreed", "enc-2", by="Kari"), "place", "It has no enclosure (by Kari)"),
        (VOICE.placed(NOON, "unknown", "shed"), "place", "It says that it is in shed, which does not exist"),
        (VOICE.profiled(NOON), "profile", "Its profile is now prf-1"),
        (findings.opened(), "condition", "Silent (high): Because unknown."),
        (findings.changed(cause="battery_empty"), "condition", "Silent (high), changed: Because battery_empty."),
        (findings.closed(), "condition", "Silent: over"),
        (findings.closed("late", reason="became silent"), "condition", "Late: over, became silent"),
        (status("silent", "healthy", "unknown"), "status", "Now silent, was healthy"),
        (status("silent", "silent", "battery_empty"), "status", "Still silent, now because of battery empty"),
        (AlertOpened(**ALERT), "alert", "Alert K7CC opened: cam-1 is silent"),
        (AlertChanged(**ALERT), "alert", "Alert K7CC is high now: cam-1 is silent"),
        (AlertAcknowledged(**ALERT, by="Kari", note="on my way"), "alert", "Alert K7CC taken by Kari: on my way"),
        (AlertResolved(**ALERT, by=None, resolved_at=NOON), "alert", "Alert K7CC resolved by itself"),
        (
            AlertResolved(**ALERT, by="Kari", resolved_at=NOON, note="changed the fuse"),
            "alert",
            "Alert K7CC resolved by Kari: changed the fuse",
        ),
        (update("installing"), "update", "Update to fish-count 2.2.0 installing"),
        (update("rolled_back", reason="bad digest"), "update", "Update to fish-count 2.2.0 rolled back: bad digest"),
        (update("confirmed"), "update", "Update to fish-count 2.2.0 done, the device reports the new version"),
        (update("trial"), "update", "Update to fish-count 2.2.0 runs, and the device is watched"),
        (update("failed", undoes="upd-0"), "update", "Roll back to fish-count 2.2.0 failed"),
        (version(VersionDrifted, "2.0.3"), "update", "Runs model 2.0.3 instead of 2.2.0, without an update of ours"),
        (version(VersionRestored, "2.2.0"), "update", "Runs model 2.2.0 again, as it should"),
    ],
)
def test_every_event_is_told_in_plain_words(event: AnyEvent, kind: str, says: str) -> None:
    told = line(event)

    assert told is not None
    assert (told.tenant, told.device, told.kind, told.says) == ("ten-1", "dev-1", kind, says)


@pytest.mark.parametrize(
    "event",
    [
        VOICE.awake(NOON),
        VOICE.reported(NOON, {"/3/0/9": 50}),
        VOICE.removed(NOON),
        VOICE.observation(NOON, "/3/0/9", "established"),
        VOICE.updated(NOON, address="192.0.2.9:1"),
        Heartbeat(id="h", time=NOON, partition=0),
        DownloadProgressed(id="d", time=NOON, device="dev-1", tenant="ten-1", path="fw", bytes=1, size=2),
        update("downloading", was="downloading"),
        findings.due(),
        RecordBuried(
            id="b", time=NOON, group="g", source="s", partition=0, offset=0, source_key="", reason="", value=b""
        ),
        Voice(tenant=None).refused(NOON),  # type: ignore[arg-type]
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_brings_no_news_to_people_is_not_told(event: AnyEvent) -> None:
    assert line(event) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(86_400, "1 d"), (7_200, "2 h"), (300, "5 min"), (90, "90 s"), (30, "30 s"), (0, "0 s"), (90_000, "25 h")],
)
def test_a_lifetime_is_said_in_its_largest_whole_unit(seconds: int, said: str) -> None:
    assert span(seconds) == said
