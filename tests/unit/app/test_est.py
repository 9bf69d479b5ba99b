"""The listener for EST: which certificates its TLS believes, and what of them reaches the application."""

import ssl
from pathlib import Path

import pytest

from shoal.app.est import Anchors
from shoal.errors import Rejected
from tests.harness.authority import Authority
from tests.harness.installation import installation


async def test_it_comes_to_know_authorities_of_all_tenants_and_takes_each_in_once(tmp_path: Path) -> None:
    own = Authority(tmp_path / "tls").certificate("localhost")
    async with installation(tmp_path) as shoal:
        anchors = Anchors(shoal.authorities, shoal.database, own.cert, own.key)
        await anchors.follow()
        before = anchors.context.cert_store_stats()["x509_ca"]
        for name in ("Nordlaks", "Another"):
            tenant = await shoal.create_tenant(name)
            async with shoal.database.transaction() as tx:
                await shoal.authorities.create(tx, tenant, name)
        await anchors.follow()
        await anchors.follow()

        assert (before, anchors.context.cert_store_stats()["x509_ca"]) == (0, 2)
        assert anchors.context.verify_mode is ssl.CERT_OPTIONAL
        assert anchors.context.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_a_certificate_that_is_none_is_told_in_words(tmp_path: Path) -> None:
    one, other = (Authority(tmp_path / name).certificate("localhost") for name in ("a", "b"))
    async with installation(tmp_path) as shoal:
        for cert, key in ((one.cert, other.key), (one.key, one.key), (tmp_path / "absent", one.key)):
            with pytest.raises(Rejected, match="tls_cert"):
                Anchors(shoal.authorities, shoal.database, cert, key)
