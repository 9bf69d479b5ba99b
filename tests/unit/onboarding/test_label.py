"""Codes and labels: what stands in them, and that a camera reads it."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import segno

from shoal.onboarding.label import (
    PER_SHEET,
    QUIET_MODULES,
    Label,
    code_text,
    label_of,
    label_sheets,
    label_svg,
    terminal_code,
)
from tests.harness.installation import Installation

OXY = Label("dev-7K3M2QX4", "oxy-0417", "Pen 4, North", "https://shoal.example/devices/dev-7K3M2QX4")


# What the tests of the pages hold theirs against, too.
VECTORS = json.loads((Path(__file__).parents[3] / "web/src/ui/device-code.vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["text"])
def test_a_code_says_what_the_pages_say(vector: dict[str, str]) -> None:
    said = code_text(vector["endpoint"], vector["identity"], vector["key"], vector.get("enclosure"))

    assert said == vector["text"]


async def test_a_label_leads_to_the_page_of_its_device_and_holds_no_key(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    pen = await shoal.create_enclosure(tenant, await shoal.create_farm(tenant))
    device = await shoal.create_device(tenant, "oxy-1", pen)
    other = await shoal.create_device(tenant, "oxy-2")

    label = label_of(device, "https://shoal.example/")
    assert label == Label(device.id, "oxy-1", "Pen 1, Storholmen", f"https://shoal.example/devices/{device.id}")
    assert label_of(other, "https://shoal.example").place == "no enclosure"


def modules_of(text: str) -> list[str]:
    """The dark modules of a code in the terminal, a row a text."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in terminal_code(text).split("\n")]
    upper = [line.translate(str.maketrans("▀▄█ ", "#.#.")) for line in lines]
    lower = [line.translate(str.maketrans("▀▄█ ", ".##.")) for line in lines]
    return [row for pair in zip(upper, lower, strict=True) for row in pair]


def test_the_terminal_and_the_label_draw_the_same_code_with_quiet_around_it() -> None:
    rows = modules_of(OXY.address)
    drawn = ET.fromstring(label_svg(OXY))
    path = drawn.find(".//{*}path")
    assert path is not None
    dark = set()
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", path.attrib["d"]):
        dark |= {(int(x) + step, int(y)) for step in range(int(length))}

    assert {(x, y) for y, row in enumerate(rows) for x, module in enumerate(row) if module == "#"} == dark
    assert min(min(x, y) for x, y in dark) == QUIET_MODULES
    # ISO/IEC 18004: the finder pattern, seven modules wide.
    assert rows[QUIET_MODULES][QUIET_MODULES : QUIET_MODULES + 8] == "#######."


def test_a_name_of_any_alphabet_is_in_the_code_as_readers_expect_it() -> None:
    """The standard's own alphabet is Latin-1; phones, and the pages, take what is in a code for UTF-8."""
    text = code_text("øystein-魚", "øystein-1", "00")
    latin = code_text("øystein", "øystein", "00")

    for said in (text, latin):
        expected = segno.make_qr(said.encode(), error="m", boost_error=False)
        rows = [list(row) for row in expected.matrix_iter(border=QUIET_MODULES)]
        drawn = [[int(module == "#") for module in row] for row in modules_of(said)]
        assert drawn[: len(rows)] == rows


def test_a_label_is_of_the_size_of_the_paper_and_shows_a_hostile_name_as_text() -> None:
    drawn = label_svg(Label("dev-7K3M2QX4", "<script>&", "x" * 80, OXY.address))
    root = ET.fromstring(drawn)

    assert (root.attrib["width"], root.attrib["height"]) == ("70mm", "36mm")
    assert "<script>" not in drawn
    texts = [text.text for text in root.iterfind(".//{*}text")]
    assert texts[0] == "<script>&"
    assert texts[1] is not None
    assert texts[1].endswith("…")


@pytest.mark.parametrize(("labels", "sheets"), [(1, 1), (PER_SHEET, 1), (PER_SHEET + 1, 2)])
def test_twenty_four_labels_go_on_a_sheet(labels: int, sheets: int) -> None:
    page = label_sheets([OXY] * labels)

    assert page.count('<div class="sheet">') == sheets
    assert page.count("<svg") == labels
