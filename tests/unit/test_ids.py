"""Ids that people type."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.ids import ALPHABET, MistypedId, Prefix, new_id, parse_id

bodies = st.text(alphabet=ALPHABET, min_size=7, max_size=7)


def test_a_fresh_id_reads_back_in_any_case() -> None:
    fresh = new_id(Prefix.ENCLOSURE)

    assert parse_id(fresh, Prefix.ENCLOSURE) == fresh
    assert parse_id(f"  {fresh.lower()} ", Prefix.ENCLOSURE) == fresh


def test_look_alikes_are_understood() -> None:
    fresh = next(
        candidate
        for candidate in iter(lambda: new_id(Prefix.DEVICE), "")
        if "0" in candidate[4:] and "1" in candidate[4:]
    )

    typed = fresh[:4] + fresh[4:].replace("0", "o").replace("1", "l")

    assert parse_id(typed, Prefix.DEVICE) == fresh


def test_an_id_of_another_kind_is_refused() -> None:
    with pytest.raises(MistypedId, match="enc-XXXXXXXX"):
        parse_id(new_id(Prefix.FARM), Prefix.ENCLOSURE)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "enc-",
        "enc",
        "enc-123",
        "enc-UUUUUUUU",
        "enc-\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
        "enc-7K3M2QX4\x00",
    ],
)
def test_what_is_no_id_is_refused(raw: str) -> None:
    with pytest.raises(MistypedId):
        parse_id(raw, Prefix.ENCLOSURE)


@given(st.integers(0, 7), st.sampled_from(ALPHABET))
def test_every_single_wrong_character_is_found(position: int, character: str) -> None:
    fresh = new_id(Prefix.DEVICE)
    tail = fresh[4:]
    if tail[position] == character:
        return

    wrong = f"dev-{tail[:position]}{character}{tail[position + 1 :]}"

    with pytest.raises(MistypedId):
        parse_id(wrong, Prefix.DEVICE)


@given(st.integers(0, 6))
def test_two_swapped_characters_are_found_and_the_right_id_is_proposed(position: int) -> None:
    fresh = new_id(Prefix.DEVICE)
    tail = fresh[4:]
    swapped = f"dev-{tail[:position]}{tail[position + 1]}{tail[position]}{tail[position + 2 :]}"
    # Luhn mod N cannot tell the first from the last character of its alphabet when they are neighbours.
    if swapped == fresh or {tail[position], tail[position + 1]} == {"0", "Z"}:
        return

    with pytest.raises(MistypedId) as refused:
        parse_id(swapped, Prefix.DEVICE)

    assert fresh in refused.value.meant


@given(st.text(max_size=40))
def test_no_text_at_all_breaks_the_parser(raw: str) -> None:
    with contextlib.suppress(MistypedId):
        assert parse_id(raw, Prefix.ENCLOSURE).startswith("enc-")
