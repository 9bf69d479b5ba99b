"""What the QR codes of devices say, and how they look: on a label that leads to a page, and with a key that is shown once.

The pages draw the same from `web/src/ui/device-code.ts`; docs/connecting-a-device.md describes the text.
"""

import html
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import segno

from shoal.inventory.device import Device

# ISO/IEC 18004 asks for four modules of nothing around a code.
QUIET_MODULES: Final = 4
# Labels of 70 by 36 mm, three beside each other and eight beneath: what office suppliers sell by the hundred.
PER_SHEET: Final = 24
_CODE_MM: Final = 28
# What fits beside the code at the size of the letters; a name may be longer, and is cut there.
_NAME_CHARACTERS: Final = 15
_PLACE_CHARACTERS: Final = 22
_STYLE: Final = (
    "@page{size:A4;margin:0}body{margin:0}"
    ".sheet{display:grid;grid-template-columns:repeat(3,70mm);grid-template-rows:repeat(8,36mm);align-content:center;"
    # A hair less than A4, or a rounding error makes an empty page.
    "width:210mm;height:296.9mm;break-after:page}.sheet:last-child{break-after:auto}"
)


@dataclass(frozen=True, slots=True)
class Label:
    """What is printed for a device. `address` is that of its page, and what the code says; there is no key in it."""

    id: str
    name: str
    place: str
    address: str


def code_text(endpoint: str, identity: str, key: str, enclosure: str | None = None) -> str:
    """The text of a new device's code. What stands for itself is left out."""
    fields = (
        ("ep", endpoint),
        ("i", "" if identity == endpoint else identity),
        ("k", key),
        ("enc", enclosure or ""),
    )
    return "SHOAL:1;" + ";".join(f"{name}={_encoded(value)}" for name, value in fields if value)


def label_of(device: Device, base_url: str) -> Label:
    """The label of a device, whose pages are found at `base_url`."""
    place = ", ".join(name for name in (device.enclosure_name, device.farm_name) if name)
    return Label(device.id, device.name, place or "no enclosure", f"{base_url.rstrip('/')}/devices/{device.id}")


def terminal_code(text: str) -> str:
    """The code as characters of a terminal, two modules in each; dark on white whatever the colours of the terminal."""
    # Two rows in one character, drawn in black on white: a camera does not read the inverse.
    rows = [list(row) for row in _code(text).matrix_iter(border=QUIET_MODULES)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    blocks = {(0, 0): " ", (1, 0): "\u2580", (0, 1): "\u2584", (1, 1): "\u2588"}
    lines = (
        "".join(blocks[bool(upper), bool(lower)] for upper, lower in zip(above, below, strict=True))
        for above, below in zip(rows[::2], rows[1::2], strict=True)
    )
    return "\n".join(f"\x1b[30;107m{line}\x1b[0m" for line in lines)


def label_svg(label: Label) -> str:
    """One label of 70 by 36 mm: for a label printer, or as a piece of a sheet."""
    side, path = _drawn(label.address)
    words = (
        (13, 4.2, "bold", "sans-serif", _cut(label.name, _NAME_CHARACTERS)),
        (18.5, 3.2, "normal", "sans-serif", _cut(label.place, _PLACE_CHARACTERS)),
        (24, 2.8, "normal", "monospace", label.id),
    )
    lines = "".join(
        f'<text x="33" y="{y}" font-size="{size}" font-weight="{weight}" font-family="{family}">{html.escape(text)}</text>'
        for y, size, weight, family, text in words
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="70mm" height="36mm" viewBox="0 0 70 36">'
        f'<title>{html.escape(label.name)}</title><rect width="70" height="36" fill="#fff"/>'
        f'<g transform="translate(3 4) scale({_CODE_MM / side:.6f})" shape-rendering="crispEdges"><path d="{path}"/></g>'
        f"{lines}</svg>"
    )


def label_sheets(labels: Sequence[Label]) -> str:
    """Sheets of A4 as a page for a browser to print, without margins and at 100 %."""
    sheets = (labels[begin : begin + PER_SHEET] for begin in range(0, len(labels), PER_SHEET))
    body = "".join(f'<div class="sheet">{"".join(map(label_svg, sheet))}</div>' for sheet in sheets)
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Labels</title><style>{_STYLE}</style>{body}</html>'


def _code(text: str) -> segno.QRCode:
    # Left to itself it takes Latin-1 where that does; readers take bytes for UTF-8.
    return segno.make_qr(text, error="m", boost_error=False, encoding="utf-8")


def _drawn(text: str) -> tuple[int, str]:
    """The side of a code in modules, and its dark ones, each row of neighbours as one rectangle."""
    rows = [bytes(row) for row in _code(text).matrix_iter(border=QUIET_MODULES)]
    path = []
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            begin = x
            while x < len(row) and row[x]:
                x += 1
            if x > begin:
                path.append(f"M{begin} {y}h{x - begin}v1h{begin - x}z")
            x += 1
    return len(rows), "".join(path)


def _encoded(value: str) -> str:
    """Only what would end a field, or could not be seen, is written as %XX: names stay legible."""
    return "".join(quote(c, safe="") if c in ";%" or unicodedata.category(c)[0] in "CZ" else c for c in value)


def _cut(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else f"{text[: characters_max - 1]}\N{HORIZONTAL ELLIPSIS}"
