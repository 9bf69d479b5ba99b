"""`shoal label` as somebody types it."""

import json
import xml.etree.ElementTree as ET

import pytest

from tests.unit.cli.shell import Shell
from tests.unit.cli.test_command_line import ended


def test_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["label", "--help"]) == 0

    assert "shoal label --enclosure enc-... --out labels.html" in capsys.readouterr().out


def test_a_label_leads_to_the_page_of_its_device(nordvik: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_PUBLIC_URL", "https://shoal.example")
    device = nordvik("device", "add", "oxy-1", "--enclosure", nordvik.pen).split()[0]

    assert nordvik("label", "oxy-1") == f"{device}  https://shoal.example/devices/{device}\n"
    assert nordvik("label", device, "--out", "oxy.svg") == "oxy.svg: 1 label\n"
    texts = [text.text for text in ET.parse(nordvik.folder / "oxy.svg").iterfind(".//{*}text")]
    assert texts == ["oxy-1", "Pen 1, Storholmen", device]
    assert "nothing is overwritten" in nordvik("label", device, "--out", "oxy.svg", code=2)


def test_all_devices_of_an_enclosure_go_on_sheets(nordvik: Shell) -> None:
    rows = "".join(f"s-{number:02},{nordvik.pen},x509\n" for number in range(25))
    (nordvik.folder / "new.csv").write_text(f"endpoint,enclosure,mode\n{rows}elsewhere,,x509\n")
    nordvik("device", "import", "new.csv")

    assert nordvik("label", "--enclosure", nordvik.pen, "--out", "labels.html") == "labels.html: 25 labels\n"
    page = (nordvik.folder / "labels.html").read_text()
    assert (page.count("<svg"), page.count('class="sheet"')) == (25, 2)
    told = [json.loads(line) for line in nordvik("label", "--farm", nordvik.farm, "elsewhere", "--json").splitlines()]
    assert len(told) == 26
    assert "holds one label, and these are 25" in nordvik(
        "label", "--enclosure", nordvik.pen, "--out", "labels.svg", code=2
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "there is no device"),
        (["oxy-9"], "no device has this endpoint"),
        (["oxy-1", "--out", "labels.doc"], "name it .svg for one label"),
        (["--enclosure", "pen"], "not of the form enc-"),
    ],
)
def test_a_wrong_call_is_one_line_that_says_what_to_do(arguments: list[str], reason: str, nordvik: Shell) -> None:
    nordvik("device", "add", "oxy-1")

    said = nordvik("label", *arguments, code=2)

    assert reason in said
    assert said.count("\n") == 1
