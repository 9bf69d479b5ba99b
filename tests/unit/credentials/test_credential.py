"""How one credential takes over from another."""

from datetime import timedelta

import pytest

from shoal.credentials.credential import OVERLAP_MAX, Rotation, State
from shoal.errors import Rejected


def test_an_overlap_is_bounded() -> None:
    Rotation(overlap=OVERLAP_MAX)
    Rotation(overlap=timedelta())
    for overlap in (OVERLAP_MAX + timedelta(seconds=1), timedelta(seconds=-1)):
        with pytest.raises(Rejected, match="90 days"):
            Rotation(overlap=overlap)


def test_what_lets_a_device_in() -> None:
    assert [state.value for state in State if state.is_living] == ["current", "next", "retiring"]
