"""Names and kinds of farms and enclosures, and changes that nobody overwrites unseen."""

import pytest

from shoal.errors import Rejected
from shoal.inventory.place import (
    KIND_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    parse_kind,
    parse_name,
)


@pytest.mark.parametrize(("raw", "name"), [(" Pen 4 ", "Pen 4"), ("Sør-Fjorden", "Sør-Fjorden"), ("鱼 1", "鱼 1")])
def test_a_name_is_kept_without_blanks_around_it(raw: str, name: str) -> None:
    assert parse_name(raw) == name


@pytest.mark.parametrize("raw", ["", "   ", "x" * (NAME_CHARACTERS_MAX + 1), "Pen\t4", "Pen\x00", "\ud800"])
def test_a_name_that_cannot_be_shown_in_a_line_is_refused(raw: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_name(raw)

    assert caught.value.subject == "name"


@pytest.mark.parametrize(("raw", "kind"), [("Pen", "pen"), (" smolt tank ", "smolt tank"), ("house-2", "house-2")])
def test_an_enclosure_is_what_the_farm_calls_it(raw: str, kind: str) -> None:
    assert parse_kind(raw) == kind


@pytest.mark.parametrize("raw", ["", "pen  4", "-pen", "pen!", "x" * (KIND_CHARACTERS_MAX + 1), "pen\n4"])
def test_a_kind_is_a_word(raw: str) -> None:
    with pytest.raises(Rejected):
        parse_kind(raw)
