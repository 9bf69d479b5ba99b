"""When a device asks for its next certificate, what it asks for, and what it keeps."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from shoal.errors import Rejected
from shoal.lwm2m import renewal
from shoal.lwm2m.renewal import (
    PAUSE_LAST,
    Pair,
    Pairs,
    chain_of,
    due_at,
    load_pairs,
    new_key,
    pause_after,
    request_for,
    save_pairs,
    to_begin_with,
)
from tests.unit.lwm2m.signer import URN, Signer

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
YEAR = timedelta(days=360)
SIGNER = Signer()


def test_it_is_due_at_two_thirds_of_the_life_and_not_for_all_at_once() -> None:
    certificate = SIGNER.pair("cam-9", NOW, YEAR).leaf

    assert due_at(certificate, 0) == NOW + timedelta(days=240)
    assert due_at(certificate, 1) == NOW + timedelta(days=255)


@pytest.mark.parametrize(
    ("failures", "left", "said_s", "pause"),
    [
        (1, timedelta(days=100), None, timedelta(minutes=1)),
        (4, timedelta(days=100), None, timedelta(minutes=8)),
        (1_000, timedelta(days=100), None, PAUSE_LAST),
        (1_000, None, None, PAUSE_LAST),
        (1_000, timedelta(hours=8), None, timedelta(hours=1)),
        (1_000, timedelta(minutes=2), None, timedelta(minutes=1)),
        (1_000, -timedelta(days=1), None, timedelta(minutes=1)),
        (1, timedelta(days=100), 3_600, timedelta(hours=1)),
        (1, timedelta(days=100), 10**9, PAUSE_LAST),
    ],
)
def test_it_is_tried_again_with_patience_and_with_less_when_time_runs_out(
    failures: int, left: timedelta | None, said_s: int | None, pause: timedelta
) -> None:
    assert pause_after(failures, left, 0, said_s) == pause
    assert pause <= pause_after(failures, left, 1, said_s) <= pause * 1.25


def test_a_request_is_for_a_key_of_its_own_and_the_names_that_it_had() -> None:
    before = SIGNER.pair("cam-9", NOW, YEAR, URN)
    key = new_key()

    first, further = (x509.load_der_x509_csr(request_for("cam-9", key, pair)) for pair in (None, before))

    assert further.is_signature_valid
    assert further.public_key() != before.leaf.public_key()
    assert first.subject == further.subject == before.leaf.subject
    assert first.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "cam-9"
    assert len(first.extensions) == 0
    [names] = further.extensions
    assert names.value == before.leaf.extensions[0].value
    assert key not in request_for("cam-9", key, before)


def test_of_an_answer_only_a_certificate_of_our_key_counts_and_it_goes_first() -> None:
    key, other = new_key(), new_key()
    answer = SIGNER.answer(request_for("cam-9", key, None), NOW, YEAR)

    own, issuer = chain_of(answer, key, NOW)

    assert Pair(key=key, chain=(own,)).leaf.subject != x509.load_der_x509_certificate(issuer).subject
    for wrong, of, at in ((answer, other, NOW), (b"nonsense", key, NOW), (answer, key, NOW + YEAR)):
        with pytest.raises(Rejected):
            chain_of(wrong, of, at)


def test_a_device_begins_with_what_ends_last_and_with_its_key_when_nothing_is_good_any_more() -> None:
    def pair(begins: datetime) -> Pair:
        return SIGNER.pair("cam-9", begins, YEAR)

    old, new, asked = pair(NOW - YEAR / 2), pair(NOW), Pair(key=new_key())

    assert to_begin_with(Pairs(current=new), old, NOW) == new
    assert to_begin_with(Pairs(current=old), new, NOW) == new, "somebody put another into it"
    assert to_begin_with(Pairs(current=old, next=new), None, NOW) == old, "what let it in, until the new one has"
    assert to_begin_with(Pairs(current=old, next=new), None, NOW + YEAR * 3 / 4) == new
    assert to_begin_with(Pairs(current=old, next=asked), None, NOW + YEAR) is None
    assert to_begin_with(Pairs(current=old), old, NOW + YEAR) == old, "with neither, the server says what is wrong"
    assert to_begin_with(Pairs(next=new), None, NOW) is None, "its key has let it in, and this has not yet"
    assert to_begin_with(Pairs(), None, NOW) is None


def test_what_is_kept_comes_back_as_it_was_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    file, pair = tmp_path / "cam-9.json", SIGNER.pair("cam-9", NOW, YEAR)
    assert load_pairs(file) == Pairs()

    save_pairs(file, Pairs(current=pair, next=Pair(key=new_key())))

    assert load_pairs(file).current == pair
    assert file.stat().st_mode & 0o077 == 0
    assert "Pair(1 certificates)" in repr(load_pairs(file))


def test_a_file_that_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    file, pair = tmp_path / "cam-9.json", SIGNER.pair("cam-9", NOW, YEAR)
    save_pairs(file, Pairs(current=Pair(key=new_key(), chain=pair.chain)))
    with pytest.raises(Rejected, match="damaged"):
        load_pairs(file)
    for content in (b"{", b'{"format": 2}', b'{"current": {"key": "AAAA"}}'):
        file.write_bytes(content)
        with pytest.raises(Rejected, match=r"damaged|another version"):
            load_pairs(file)
    with pytest.raises(Rejected, match="cannot be read"):
        load_pairs(tmp_path)
    assert renewal.FORMAT == 1
