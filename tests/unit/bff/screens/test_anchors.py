"""Trust anchors in the words of the page: what needs somebody first, and how one is proved with tools that everybody has."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shoal.authority.issuing import Curve, root
from shoal.bff import heard, heard_trust
from shoal.bff.screens.anchors import ENDS_WITHIN, AnchorLine, TrustScreen, trust_screen
from shoal.credentials.anchor import check_certificate, check_signature, new_challenge
from shoal.credentials.x509 import parse_certificate, read_certificate
from tests.unit.bff.conftest import NOW

NOBODY: heard.Page[heard_trust.Credential] = heard.Page(items=[])


def anchor(key: str, state: str = "trusted", subject: str = "CN=Makers", **more: object) -> heard_trust.Anchor:
    certificate = {"subject": subject, "fingerprint": f"f-{key}", "not_after": NOW + timedelta(days=900)}
    return heard_trust.Anchor.model_validate(
        {"id": key, "name": key.title(), "state": state, "certificate": certificate} | more
    )


def shown(*anchors: heard_trust.Anchor, own: tuple[heard_trust.Authority, ...] = ()) -> TrustScreen:
    counted = [heard_trust.DevicesOfAnchor(anchor=one.id, devices=7) for one in anchors]
    return trust_screen(NOW, anchors, heard_trust.AnchorUse(anchors=counted), own, NOBODY, {})


def line(said: heard_trust.Anchor) -> AnchorLine:
    return shown(said).anchors[0]


def test_what_needs_somebody_stands_first_and_what_is_over_last() -> None:
    screen = shown(anchor("a", "retired"), anchor("b"), anchor("c", "unproved"), anchor("d", "dreaming"))

    assert [(one.id, one.state) for one in screen.anchors] == [
        ("c", "unproved"),
        ("b", "trusted"),
        ("d", "trusted"),
        ("a", "retired"),
    ], "what a newer API says is not passed over: it may let devices in"


def test_two_of_one_name_say_so_because_their_devices_are_not_told_apart() -> None:
    first, second, other, over = shown(
        anchor("a"), anchor("b"), anchor("c", subject="CN=Else"), anchor("d", "retired")
    ).anchors

    assert (first.namesakes, second.namesakes, other.namesakes) == (["B"], ["A"], [])
    assert (first.devices, over.devices) == (7, 0)


def test_one_of_our_own_names_its_successor() -> None:
    old = heard_trust.Authority(id="aut-1", fingerprint="f-a")
    new = heard_trust.Authority(id="aut-2", fingerprint="f-b", succeeds="aut-1")

    first, second, foreign = shown(anchor("a"), anchor("b"), anchor("c"), own=(old, new)).anchors

    assert (first.authority, first.successor, first.succeeds) == ("aut-1", "B (aut-2)", "")
    assert (second.authority, second.successor, second.succeeds) == ("aut-2", "", "A (aut-1)")
    assert (foreign.authority, foreign.successor) == ("", "")


def test_an_end_is_told_half_a_year_before() -> None:
    def ends(after: timedelta) -> tuple[bool, bool]:
        said = line(anchor("a", certificate={"subject": "CN=x", "not_after": NOW + after}))
        return said.ends_soon, said.is_over

    assert ends(ENDS_WITHIN + timedelta(days=1)) == (False, False)
    assert ends(ENDS_WITHIN) == (True, False)
    assert ends(timedelta()) == (True, True)


def test_a_challenge_that_is_too_old_says_so() -> None:
    said = anchor("a", "unproved", challenge="shoal-proof-1", challenge_expires_at=NOW + timedelta(days=1))
    late = anchor("a", "unproved", challenge="shoal-proof-1", challenge_expires_at=NOW)

    assert [one.proof.is_over for one in map(line, (said, late)) if one.proof] == [False, True]
    assert line(anchor("a")).proof is None


def test_the_commands_that_are_shown_make_answers_that_count(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    signer, challenge = root("Makers", "1", Curve.P256, timedelta(days=30), now), new_challenge()
    pem = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "ca.key").write_bytes(pem)
    (tmp_path / "ca.pem").write_bytes(signer.certificate.public_bytes(Encoding.PEM))
    proof = line(anchor("a", "unproved", challenge=challenge)).proof
    assert proof is not None

    subprocess.run(["sh", "-c", proof.certificate_command], cwd=tmp_path, check=True, capture_output=True)
    signature = subprocess.check_output(["sh", "-c", proof.signature_command], cwd=tmp_path, text=True)

    authority = read_certificate(signer.certificate)
    later = datetime.now(UTC) + timedelta(seconds=1)
    check_certificate(authority, challenge, parse_certificate((tmp_path / "proof.pem").read_text()), later)
    check_signature(authority, challenge, signature)


def test_a_challenge_is_no_way_into_a_shell() -> None:
    proof = line(anchor("a", "unproved", challenge="x; rm -rf $HOME")).proof

    assert proof is not None
    assert "-subj '/CN=x; rm -rf $HOME' |" in proof.certificate_command
    assert proof.signature_command.startswith("printf %s 'x; rm -rf $HOME' |")


def test_who_waits_is_shown_with_where_it_says_it_is() -> None:
    knocking = [
        heard_trust.Credential(id=f"crd-{n}", device=f"dev-{n}", mode="x509", identity=f"cam-{n}", state="waiting")
        for n in range(2)
    ]
    claim = heard.Claim(enclosure="enc-1", name="Pen 4", farm_name="North")
    first = heard.Device(id="dev-0", endpoint="cam-0", claim=claim)
    page = heard.Page[heard_trust.Credential](items=knocking, next=None)

    screen = trust_screen(NOW, (), heard_trust.AnchorUse(), (), page, {"dev-0": first})

    assert [(one.endpoint, one.claim and (one.claim.name, one.claim.farm)) for one in screen.waiting] == [
        ("cam-0", ("Pen 4", "North")),
        ("cam-1", None),  # deleted a moment ago
    ]
