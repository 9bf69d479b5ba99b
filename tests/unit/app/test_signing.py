"""Who signs for devices of the gateway: their own tenant's authority, for their own name, and nobody else."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from shoal.api.est import ATTRIBUTES
from shoal.app.signing import ONE_CERTIFICATE, signs_for_devices
from shoal.audit.store import Audit
from shoal.errors import NotFound, Rejected
from shoal.gateway.enrolling import Question, Sign
from tests.harness.installation import Installation, installation
from tests.harness.requests import request


def signing(shoal: Installation) -> Sign:
    return signs_for_devices(shoal.database, shoal.certificates, shoal.enrolments, Audit(shoal.database), shoal.clock)


async def test_a_device_gets_what_its_own_tenant_signs_for_its_own_name(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        tenant, other = await shoal.create_tenant(), await shoal.create_tenant("Another")
        device = await shoal.create_device(tenant, "oxy")
        async with shoal.database.transaction() as tx:
            mine = await shoal.authorities.create(tx, tenant, "Nordlaks")
            await shoal.authorities.create(tx, other, "Another")
        sign = signing(shoal)

        def asked(operation: str, body: bytes = b"", format_: int = 281) -> Question:
            return Question(device=device.id, operation=operation, format=format_, body=body)  # type: ignore[arg-type]

        authorities = pkcs7.load_der_pkcs7_certificates(await sign(asked("crts")))
        [many] = pkcs7.load_der_pkcs7_certificates(await sign(asked("sen", request("oxy"))))
        single = x509.load_der_x509_certificate(await sign(asked("sren", request("oxy"), ONE_CERTIFICATE)))

        assert authorities == [mine.certificate]
        for one in (many, single):
            one.verify_directly_issued_by(mine.certificate)
            assert one.subject.rfc4514_string() == "CN=oxy"
        assert await sign(asked("att")) == ATTRIBUTES
        with pytest.raises(Rejected, match="endpoint name"):
            await sign(asked("sen", request("other")))
        with pytest.raises(Rejected, match="PKCS #10"):
            await sign(asked("sen", b"nonsense"))
        entries = await Audit(shoal.database).entries(tenant)
        assert {(entry.by, entry.by_name, entry.act.action) for entry in entries} == {(device.id, "oxy", "enrol")}


async def test_without_an_authority_or_a_device_there_is_nothing_to_get(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        tenant = await shoal.create_tenant()
        device = await shoal.create_device(tenant, "oxy")
        sign = signing(shoal)
        for known in (device.id, "dev-0"):
            with pytest.raises(NotFound):
                await sign(Question(device=known, operation="crts", format=281, body=b""))
            with pytest.raises(NotFound):
                await sign(Question(device=known, operation="sen", format=281, body=request("oxy")))
