"""The tenant's own authorities in the words of the page."""

from datetime import timedelta

from shoal.bff import heard, heard_trust
from shoal.bff.screens.authorities import ENDS_WITHIN, AuthorityScreen, authorities_screen, authority_screen
from tests.unit.bff.conftest import NOW

PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


def authority(key: str, state: str = "current", levels: int = 1, **more: object) -> heard_trust.Authority:
    said = {"id": key, "name": key.upper(), "state": state, "fingerprint": f"f-{key}", "trust": PEM * levels}
    return heard_trust.Authority.model_validate(said | more)


def opened(*known: heard_trust.Authority, issued: list[heard_trust.IssuedCertificate] | None = None) -> AuthorityScreen:
    page = heard.Page[heard_trust.IssuedCertificate](items=issued or [], next="more")
    return authority_screen(NOW, known[0], known, [], heard_trust.AnchorUse(), page)


def test_who_issues_stands_first_and_each_knows_its_devices_and_its_successor() -> None:
    anchors = [
        heard_trust.Anchor(id="tra-1", state="trusted", certificate=heard_trust.Certificate(fingerprint="f-old")),
        heard_trust.Anchor(id="tra-2", state="retired", certificate=heard_trust.Certificate(fingerprint="f-gone")),
    ]
    use = heard_trust.AnchorUse(
        anchors=[heard_trust.DevicesOfAnchor(anchor=f"tra-{number}", devices=5) for number in (1, 2)]
    )
    known = [authority("gone", "retired"), authority("old", "retiring"), authority("new", succeeds="old")]

    new, old, gone = authorities_screen(NOW, known, anchors, use).authorities

    assert [(one.id, one.devices) for one in (new, old, gone)] == [("new", 0), ("old", 5), ("gone", 0)]
    assert new.succeeds is not None
    assert old.successor is not None
    assert (new.succeeds.id, old.successor.id, gone.successor) == ("old", "new", None)


def test_an_intermediate_goes_under_a_root_that_still_issues() -> None:
    screen = opened(
        authority("line", levels=2),
        authority("root"),
        authority("old", "retiring"),
        authority("lost", has_key=False),
        authority("site", levels=2),
    )

    assert [one.id for one in screen.roots] == ["root"]
    assert (screen.authority.levels, screen.next) == (2, "more")


def test_only_what_counts_can_end_soon() -> None:
    def issued(state: str, after: timedelta) -> heard_trust.IssuedCertificate:
        return heard_trust.IssuedCertificate(id="crt-1", state=state, not_after=NOW + after)

    screen = opened(
        authority("a"),
        issued=[
            issued("good", ENDS_WITHIN),
            issued("good", ENDS_WITHIN + timedelta(days=1)),
            issued("revoked", timedelta(days=1)),
            issued("of a newer API", timedelta(days=1)),
        ],
    )

    assert [(one.state, one.ends_soon) for one in screen.certificates] == [
        ("good", True),
        ("good", False),
        ("revoked", False),
        ("good", True),
    ]
