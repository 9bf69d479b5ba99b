from datetime import UTC, datetime, timedelta

from shoal.bff import heard
from shoal.bff.screens import alerts

NOW = datetime(2026, 11, 21, 14, 28, tzinfo=UTC)


def alert(name: str, severity: str = "high", minutes: int = 10, **more: object) -> heard.Alert:
    return heard.Alert.model_validate(
        {"id": name, "severity": severity, "opened_at": NOW - timedelta(minutes=minutes), **more}
    )


def test_the_worst_comes_first_and_of_those_the_one_that_waits_longest() -> None:
    lines = alerts.worst_first(
        [alert("a", "warning", 90), alert("b", "critical", 5), alert("c", "critical", 50), alert("d", "informational")]
    )

    assert [line.id for line in lines] == ["c", "b", "a", "d"]


def test_what_is_over_is_shown_by_when_it_ended() -> None:
    page = heard.Page[heard.Alert](
        items=[alert("early", resolved_at=NOW - timedelta(hours=3)), alert("late", resolved_at=NOW)]
    )

    assert [line.id for line in alerts.latest_first(page).alerts] == ["late", "early"]


def test_a_group_counts_what_exists_and_never_what_was_loaded() -> None:
    first = [alert("a")]

    assert alerts.group(heard.Page[heard.Alert](items=first, next="c", total=431)).total == 431
    assert alerts.group(heard.Page[heard.Alert](items=first, next="c")).total is None
    assert alerts.group(heard.Page[heard.Alert](items=first)).total == 1


def test_an_open_alert_says_who_is_told_next() -> None:
    at = NOW + timedelta(minutes=5)

    line = alerts.alert_line(alert("a", next={"at": at, "to": ["Jon"], "channels": ["call"]}))
    taken = alerts.alert_line(alert("a", next={"at": at, "to": ["Jon"], "channels": ["call"]}, state="acknowledged"))

    assert line.next_told is not None
    assert (line.next_told.to, line.next_told.channel, line.next_told.at) == ("Jon", "call", at)
    assert taken.next_told is None


def test_a_crowd_that_is_told_is_a_few_names_and_a_number() -> None:
    def said(*names: str) -> str:
        return alerts.planned(heard.Next(at=NOW, to=list(names), channels=["email", "webhook"])).to

    assert (said("Ida"), said("Ida", "Jon"), said("Ida", "Jon", "Kari")) == (
        "Ida",
        "Ida and Jon",
        "Ida, Jon and Kari",
    )
    assert said("Ida", "Jon", "Kari", "Ola") == "Ida, Jon and 2 more"
    assert said() == ""
    assert alerts.planned(heard.Next(at=NOW, to=["Ida"], channels=["email", "webhook"])).detail == "email or webhook"


def test_an_alert_shows_who_follows_by_which_policy() -> None:
    ahead = [{"at": NOW, "to": ["Jon"], "channels": ["call"]}]

    screen = alerts.alert_screen(NOW, alert("a", policy_name="Night", ahead=ahead, acknowledge_due=NOW))

    assert (screen.policy_name, screen.acknowledge_due) == ("Night", NOW)
    assert [(line.to, line.state) for line in screen.ahead] == [("Jon", "planned")]


def test_evidence_is_newest_first_and_what_has_no_time_comes_last() -> None:
    shown = alerts.verdict_shown(
        heard.Verdict.model_validate(
            {
                "evidence": [
                    {"says": "known from the data sheet"},
                    {"at": NOW - timedelta(hours=1), "says": "battery low"},
                    {"at": NOW, "says": "silent"},
                ]
            }
        )
    )

    assert [line.says for line in shown.evidence] == ["silent", "battery low", "known from the data sheet"]


def test_an_alert_without_a_code_or_a_headline_is_still_something_to_talk_about() -> None:
    line = alerts.alert_line(alert("alr-7K3M2QX", condition="battery-low"))

    assert (line.code, line.headline) == ("M2QX", "battery-low")


def test_a_notification_that_failed_is_never_left_out() -> None:
    screen = alerts.alert_screen(NOW, alert("a", told=[{"to": "Kari", "channel": "sms", "state": "failed"}]))

    assert [(line.to, line.state) for line in screen.told] == [("Kari", "failed")]
