"""systemd hears that we are ready; whoever does not run under it loses nothing."""

import logging
import socket
from pathlib import Path

import pytest

from shoal.app.service_manager import tell


@pytest.mark.parametrize("is_abstract", [False, True])
def test_the_named_socket_hears_the_state(tmp_path: Path, is_abstract: bool) -> None:
    name = f"shoal-test-{tmp_path.name}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}" if is_abstract else name)
        manager.settimeout(5)

        tell("READY=1", f"@{name}" if is_abstract else name)

        assert manager.recv(64) == b"READY=1"


def test_without_a_service_manager_nothing_happens(caplog: pytest.LogCaptureFixture) -> None:
    tell("READY=1", None)

    assert caplog.records == []


def test_one_that_is_gone_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        tell("READY=1", str(tmp_path / "nobody"))

    assert [record.getMessage() for record in caplog.records] == ["service_manager.away"]
