"""EST over HTTPS, by real TLS: who gets a certificate, who does not, and that each refusal is of the thing that is wrong."""

import base64
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from shoal.api.guesses import WRONG_MAX
from shoal.audit.store import Audit
from shoal.authority.authority import Reason
from shoal.authority.enrolment import CERTIFICATES_PER_DAY_MAX
from shoal.authority.issuing import new_key
from shoal.clock import FakeClock
from shoal.ids import TenantId
from tests.harness.est import EstDevice, certificates, est
from tests.harness.installation import Installation, installation
from tests.harness.requests import request, request_on, request_with_anothers_key

DAY = timedelta(days=1)


class Farm:
    """A tenant with an authority, and a device that speaks EST with it. TLS lives by the true time, so all of it does."""

    def __init__(self, shoal: Installation, device: EstDevice, tenant: TenantId, authority: str) -> None:
        self.shoal = shoal
        self.device = device
        self.tenant = tenant
        self.authority = authority

    async def secret(self, endpoint: str = "oxy") -> str:
        async with self.shoal.database.transaction() as tx:
            return (await self.shoal.enrolments.create(tx, self.tenant, endpoint)).secret

    async def enrolled(self, endpoint: str = "oxy") -> tuple[Path, Path]:
        key = new_key()
        answer = await self.device.post(
            "simpleenroll", request(endpoint, key), basic=(endpoint, await self.secret(endpoint))
        )
        return self.device.keep(endpoint, answer, key)

    async def revoke_all(self, endpoint: str = "oxy") -> None:
        async with self.shoal.database.transaction() as tx:
            for one in await self.shoal.certificates.several(self.tenant, subject=endpoint):
                await self.shoal.certificates.revoke(tx, self.tenant, one.id, Reason.KEY_COMPROMISE)


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    async with installation(tmp_path) as shoal:
        set_to_now(shoal.clock)
        tenant = await shoal.create_tenant()
        async with shoal.database.transaction() as tx:
            authority = await shoal.authorities.create(tx, tenant, "Nordlaks")
        async with est(shoal, tmp_path, authority.id) as device:
            yield Farm(shoal, device, tenant, authority.id)


def set_to_now(clock: FakeClock) -> None:
    clock.advance(datetime.now(UTC).replace(microsecond=0) - clock.now())


async def test_a_device_enrols_with_a_secret_and_renews_with_what_it_got(farm: Farm) -> None:
    device, first, second = farm.device, new_key(), new_key()
    anchors = certificates(await device.get("cacerts"))

    enrolled = await device.post("simpleenroll", request("oxy", first), basic=("oxy", await farm.secret()))
    shows = device.keep("first", enrolled, first)
    renewed = await device.post("simplereenroll", request("oxy", second), shows=shows)
    shows = device.keep("second", renewed, second)
    again = await device.post("simplereenroll", request("oxy", second), shows=shows)

    issued = [certificates(answer)[0] for answer in (enrolled, renewed, again)]
    assert [one.subject.rfc4514_string() for one in issued] == ["CN=oxy"] * 3
    assert [one.public_key() == key.public_key() for one, key in zip(issued, (first, second, second), strict=True)]
    assert len({one.serial_number for one in issued}) == 3
    for one in issued:
        one.verify_directly_issued_by(anchors[0])
    assert enrolled.headers["content-type"] == "application/pkcs7-mime; smime-type=certs-only"
    entries = await Audit(farm.shoal.database).entries(farm.tenant)
    assert [(entry.act.action, entry.by_name) for entry in entries] == [("enrol", "oxy")] * 3
    assert [entry.by[:3] for entry in reversed(entries)] == ["enr", "crt", "crt"]


async def test_what_is_answered_is_what_openssl_reads(farm: Farm, tmp_path: Path) -> None:
    packed = tmp_path / "cacerts.p7"
    packed.write_bytes(base64.b64decode((await farm.device.get("cacerts")).content))
    wanted = tmp_path / "csrattrs"
    wanted.write_bytes(base64.b64decode((await farm.device.get("csrattrs")).content))

    def openssl(*arguments: str | Path) -> str:
        return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True, text=True).stdout

    assert f"serialNumber = {farm.authority}" in openssl("pkcs7", "-inform", "DER", "-in", packed, "-print_certs")
    parsed = openssl("asn1parse", "-inform", "DER", "-in", wanted)
    assert [name in parsed for name in ("ecdsa-with-SHA256", "id-ecPublicKey", "prime256v1")] == [True] * 3


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (request("other"), "endpoint name"),
        (request("oxy", names=[x509.UniformResourceIdentifier("urn:imei:1")]), "not a name of this device"),
        (request_with_anothers_key("oxy"), "does not prove"),
        (request_on(ec.SECP521R1(), "oxy"), "P-256 or P-384"),
        (b"nonsense", "PKCS #10"),
    ],
)
async def test_a_request_for_more_than_ones_own_is_refused_and_a_good_one_is_still_taken(
    wrong: bytes, reason: str, farm: Farm
) -> None:
    basic = ("oxy", await farm.secret())

    refused = await farm.device.post("simpleenroll", wrong, basic=basic)

    assert (refused.status_code, reason in refused.text) == (400, True), refused.text
    assert refused.headers["content-type"].startswith("text/plain")
    assert await farm.shoal.certificates.several(farm.tenant) == []
    assert (await farm.device.post("simpleenroll", request("oxy"), basic=basic)).status_code == 200


async def test_who_proves_nothing_gets_nothing(farm: Farm) -> None:
    secret = await farm.secret()
    for basic in (None, ("oxy", "wrong"), ("other", secret), ("", ""), ("øst", "é"), ("a\0b", "x")):
        answer = await farm.device.post("simpleenroll", request("oxy"), basic=basic)
        assert (answer.status_code, answer.headers["www-authenticate"].partition(" ")[0]) == (401, "Basic")
        assert secret not in answer.text

    assert (await farm.device.post("simpleenroll", request("oxy"), basic=("oxy", secret))).status_code == 200
    used = await farm.device.post("simpleenroll", request("oxy"), basic=("oxy", secret))
    assert (used.status_code, "used already" in used.text) == (401, True)


async def test_a_revoked_certificate_renews_nothing(farm: Farm) -> None:
    shows = await farm.enrolled()
    assert (await farm.device.post("simplereenroll", request("oxy"), shows=shows)).status_code == 200

    await farm.revoke_all()

    answer = await farm.device.post("simplereenroll", request("oxy"), shows=shows)
    assert (answer.status_code, answer.text) == (401, "certificate: revoked\n")


async def test_an_expired_certificate_ends_in_the_handshake(farm: Farm) -> None:
    shoal, key = farm.shoal, new_key()
    shoal.clock.advance(-2 * DAY)
    async with shoal.database.transaction() as tx:
        older = await shoal.authorities.create(tx, farm.tenant, "Older")
        old, good = [
            await shoal.certificates.issue_to_device(
                tx, farm.tenant, older.id, "oxy", key.public_key(), lifetime=days * DAY
            )
            for days in (1, 9)
        ]
    shoal.clock.advance(2 * DAY)
    await farm.device.settled()
    answer = await farm.device.post("simplereenroll", request("oxy"), shows=farm.device.hold(good, key))

    assert answer.status_code == 200
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError, httpx.ConnectError)):
        await farm.device.post("simplereenroll", request("oxy"), shows=farm.device.hold(old, key))


async def test_a_renewal_may_not_change_who_one_is(farm: Farm) -> None:
    shows = await farm.enrolled()

    for wrong in (request("other"), request("oxy", names=[x509.UniformResourceIdentifier("urn:imei:1")])):
        assert (await farm.device.post("simplereenroll", wrong, shows=shows)).status_code == 400
    assert (await farm.device.post("simplereenroll", request("oxy"), shows=shows)).status_code == 200


async def test_a_certificate_of_another_tenant_or_authority_counts_for_nothing(farm: Farm, tmp_path: Path) -> None:
    shows = await farm.enrolled()
    other = await farm.shoal.create_tenant("Another")
    async with farm.shoal.database.transaction() as tx:
        theirs = await farm.shoal.authorities.create(tx, other, "Another")
    elsewhere = farm.device.at(theirs.id)

    answer = await elsewhere.post("simplereenroll", request("oxy"), shows=shows)

    assert (answer.status_code, "not of a device of this tenant" in answer.text) == (401, True)
    async with farm.shoal.database.transaction() as tx:
        await farm.shoal.authorities.roll_over(tx, farm.tenant, farm.authority)
    renewed = await farm.device.post("simplereenroll", request("oxy"), shows=shows)
    assert renewed.status_code == 200
    async with farm.shoal.database.transaction() as tx:
        await farm.shoal.authorities.retire(tx, farm.tenant, farm.authority)
    assert (await farm.device.post("simplereenroll", request("oxy"), shows=shows)).status_code == 401
    [successor] = certificates(await farm.device.get("cacerts"))
    certificates(renewed)[0].verify_directly_issued_by(successor)


async def test_labels_bodies_and_guesses_have_bounds(farm: Farm, tmp_path: Path) -> None:
    basic = ("oxy", await farm.secret())
    for label in ("ten-00000000", "aut-00000000", "nonsense", "x" * 500):
        other = farm.device.at(label)
        assert (await other.get("cacerts")).status_code == 404
        assert (await other.post("simpleenroll", request("oxy"), basic=basic)).status_code == 404
    by_tenant = farm.device.at(farm.tenant)
    assert (await by_tenant.get("cacerts")).status_code == 200
    assert (await farm.device.post("simpleenroll", b"x" * 20_000, basic=basic)).status_code == 413
    assert (await farm.device.post("simpleenroll", b"x" * 5_000, basic=basic)).status_code == 400
    assert (await farm.device.post("simpleenroll", request("oxy"), basic=basic, kind="text/plain")).status_code == 415
    assert (await farm.device.get("fullcmc")).status_code == 404
    answers = [
        await farm.device.post("simpleenroll", request("oxy"), basic=("oxy", f"wrong {number}"))
        for number in range(WRONG_MAX + 1)
    ]
    assert [answer.status_code for answer in answers] == [401] * WRONG_MAX + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_a_device_that_asks_again_and_again_has_to_wait(farm: Farm) -> None:
    shows = await farm.enrolled()
    codes = [
        (await farm.device.post("simplereenroll", request("oxy"), shows=shows)).status_code
        for _ in range(CERTIFICATES_PER_DAY_MAX)
    ]

    assert codes == [200] * (CERTIFICATES_PER_DAY_MAX - 1) + [429]
