import pytest

from shoal.bff import heard
from shoal.bff.screens import coverage


def seen(**quantities: tuple[int, int]) -> heard.Coverage:
    return heard.Coverage.model_validate(
        {
            "enclosure": "enc-1",
            "name": "Pen 12",
            "quantities": {name: {"alive": alive, "expected": of} for name, (alive, of) in quantities.items()},
        }
    )


@pytest.mark.parametrize(
    ("quantities", "state"),
    [
        ({"oxygen": (2, 2), "video": (1, 1)}, "covered"),
        ({"oxygen": (1, 2), "video": (1, 1)}, "reduced"),
        ({"oxygen": (0, 2), "video": (1, 1)}, "blind"),
        ({"oxygen": (0, 2), "video": (0, 1)}, "dark"),
        ({"oxygen": (0, 0)}, "unwatched"),
        ({}, "unwatched"),
    ],
)
def test_an_enclosure_is_as_well_seen_as_its_worst_quantity(
    quantities: dict[str, tuple[int, int]], state: coverage.CellState
) -> None:
    assert coverage.cell(seen(**quantities)).state == state


def test_the_same_bar_always_means_the_same() -> None:
    cell = coverage.cell(seen(video=(1, 1), current=(1, 1), oxygen=(2, 2)))

    assert [each.quantity for each in cell.quantities] == ["oxygen", "temperature", "salinity", "video", "current"]


@pytest.mark.parametrize(
    ("name", "label"), [("Pen 4", "4"), ("Pen 12", "12"), ("North", "Nor"), ("Tank 2026", "Tan"), ("", "")]
)
def test_a_label_fits_beneath_three_bars(name: str, label: str) -> None:
    assert coverage.label(name) == label
