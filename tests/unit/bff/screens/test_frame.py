from datetime import UTC, datetime

from shoal.bff import heard
from shoal.bff.screens import frame

NOW = datetime(2026, 11, 21, 14, 28, tzinfo=UTC)


def test_the_frame_says_since_when_monitoring_lags() -> None:
    assert frame.frame(NOW, heard.Pipeline(delayed_since=NOW), 3).delayed_since == NOW
    assert frame.frame(NOW, heard.Pipeline(), 3).delayed_since is None


def test_a_count_that_is_not_known_is_not_made_up() -> None:
    assert frame.frame(NOW, heard.Pipeline(), None).needs_person is None
