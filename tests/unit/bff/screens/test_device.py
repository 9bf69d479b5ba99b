from datetime import UTC, datetime, timedelta

import pytest

from shoal.bff import heard
from shoal.bff.screens import device
from tests.unit.bff.conftest import Pages

NOW = datetime(2026, 11, 21, 14, 28, tzinfo=UTC)


def test_only_the_last_update_that_took_effect_leads_back_and_each_knows_what_took_it_back() -> None:
    def update(name: str, state: str = "confirmed", **more: object) -> heard.Update:
        values = {"kind": "model", "ran_since": NOW, "can_roll_back": True, **more}
        return heard.Update.model_validate({"id": name, "state": state, **values})

    def offered(*updates: heard.Update) -> list[str]:
        screen = device.updates_screen(NOW, heard.Device(id="dev-1"), [], updates, [])
        return [one.id for one in screen.updates if one.can_roll_back]

    back = update("upd-3", "needs_attention", undoes="upd-2", ran_since=None, can_roll_back=False)
    two, one, firmware = update("upd-2"), update("upd-1"), update("upd-0", kind="firmware")

    assert offered(back, two, one, firmware) == ["upd-2", "upd-0"]
    assert offered(update("upd-4", "trial"), two) == ["upd-4"], "a watch may be ended by going back"
    assert offered(update("upd-4", "downloading", ran_since=None, can_roll_back=False), two) == []
    screen = device.updates_screen(NOW, heard.Device(id="dev-1"), [], [back, two], [])
    assert [(each.undoes, each.undone_by) for each in screen.updates] == [("upd-2", None), (None, "upd-3")]


@pytest.mark.parametrize(
    ("said", "state", "is_over"),
    [("trial", "trial", False), ("rolled_back", "rolled-back", True)],
)
def test_a_watch_goes_on_and_a_return_is_the_end(said: str, state: str, is_over: bool) -> None:
    shown = device.update_shown(heard.Update(id="upd-1", state=said))

    assert (shown.state, shown.is_over) == (state, is_over)


@pytest.mark.parametrize(
    ("said", "state", "is_over"),
    [
        ("waiting", "waiting", False),
        ("downloading", "downloading", False),
        ("trial", "trial", False),
        ("confirmed", "confirmed", True),
        ("rolled back", "rolled-back", True),
        ("rolled_back", "rolled-back", True),
        ("needs attention", "needs-attention", True),
        ("failed", "failed", True),
    ],
)
def test_an_update_is_over_only_when_it_will_not_change_by_itself(said: str, state: str, is_over: bool) -> None:
    shown = device.update_shown(heard.Update(id="upd-1", state=said))

    assert (shown.state, shown.is_over) == (state, is_over)


def test_what_runs_is_what_the_device_said() -> None:
    heard_of = heard.Device(id="dev-1", vitals=heard.Vitals(firmware_version=heard.Vital(value="2.8.1")))

    assert device.updates_screen(NOW, heard_of, [], [], []).running == "2.8.1"
    assert device.updates_screen(NOW, heard.Device(id="dev-1"), [], [], []).running == ""


def test_a_camera_says_which_model_it_runs() -> None:
    health = heard.Object.model_validate(
        {"object": 26242, "instances": [{"instance": 0, "resources": [{"path": "/26242/0/7", "value": "2.1.0"}]}]}
    )

    assert device.updates_screen(NOW, heard.Device(id="dev-1"), [health], [], []).running_model == "2.1.0"
    assert device.updates_screen(NOW, heard.Device(id="dev-1"), [], [], []).running_model == ""


def test_a_device_is_offered_what_fits_it_the_newest_first() -> None:
    artifacts = [
        heard.Artifact(id="old", kind="firmware", created_at=NOW - timedelta(days=9)),
        heard.Artifact(id="model", kind="model", created_at=NOW - timedelta(days=2)),
        heard.Artifact(id="new", kind="firmware", created_at=NOW),
    ]

    def offered(kind: str) -> list[str]:
        screen = device.updates_screen(NOW, heard.Device(id="dev-1", kind=kind), [], [], artifacts)
        return [artifact.id for artifact in screen.artifacts]

    assert offered("camera") == ["new", "model", "old"]
    assert offered("sensor") == ["new", "old"]


def test_a_device_that_was_never_heard_has_no_registration_and_no_claim() -> None:
    screen = device.device_screen(NOW, heard.Device(id="dev-1"), [], [], None)

    assert (screen.registration, screen.claim, screen.verdict, screen.waiting) == (None, None, None, [])


def test_a_command_that_waits_says_what_it_is_and_until_when() -> None:
    waiting = heard.Command(id="cmd-1", operation="write", path="/1/0/3", value=600, by="Kari Moe", expires_at=NOW)

    (shown,) = device.device_screen(NOW, heard.Device(id="dev-1", waiting=[waiting]), [], [], None).waiting

    assert (shown.operation, shown.path, shown.value, shown.by, shown.expires_at) == (
        "write",
        "/1/0/3",
        600,
        "Kari Moe",
        NOW,
    )


def test_what_was_read_has_the_type_that_json_does_not_tell() -> None:
    said = {"id": "cmd-1", "operation": "read", "path": "/49000/0/3", "value": "AAEC", "state": "answered"}
    told = heard.Command.model_validate(said | {"kinds": {"/49000/0/3": "opaque"}})

    assert device.command_shown(told).type == "opaque"
    assert device.command_shown(heard.Command.model_validate(said)).type == ""


def test_a_composite_that_waits_names_its_paths() -> None:
    said = {"id": "cmd-1", "operation": "read_composite", "path": "/", "paths": ["/3/0/9", "/3303/0"]}
    screen = device.device_screen(NOW, heard.Device.model_validate({"id": "dev-1", "waiting": [said]}), [], [], None)

    assert [(one.path, one.paths) for one in screen.waiting] == [("/", ["/3/0/9", "/3303/0"])]


async def test_how_it_was_last_not_let_in_is_told_until_it_is_heard(ida: Pages) -> None:
    known = ida.farm.device("oxy-0418")
    known["last_heard_at"] = ida.farm.ago(minutes=300)

    shown = (await ida.screen(f"devices/{known['id']}"))["refused"]
    assert (shown["title"], shown["count"], shown["address"]) == ("Wrong key", 14, "10.0.0.7")

    known["last_heard_at"] = ida.farm.ago(minutes=0)
    assert (await ida.screen(f"devices/{known['id']}"))["refused"] is None
    known["last_heard_at"] = None
    assert (await ida.screen(f"devices/{known['id']}"))["refused"]["title"] == "Wrong key"
