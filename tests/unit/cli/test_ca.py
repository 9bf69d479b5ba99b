"""`shoal ca` as somebody types it: what it says, which files it leaves, and what OpenSSL makes of them."""

import asyncio
import re
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from shoal.audit.store import Audit
from shoal.clock import SystemClock
from shoal.inventory.store import Inventory
from shoal.storage.database import Database
from shoal.storage.folder import database_url
from tests.harness.requests import request
from tests.unit.cli.test_command_line import a_shoal, ended


class Shell:
    """A terminal in a folder with a Shoal in `data`."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What a command says: on the standard output, or where it is refused, on the other one."""
        assert ended(["ca", *arguments, "--data", "data"]) == code, self._capsys.readouterr().err
        said = self._capsys.readouterr()
        return said.err if code else said.out

    def create(self, *arguments: str) -> str:
        return self("create", "Nordvik devices", *arguments).split()[0]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    asyncio.run(a_shoal(tmp_path / "data"))
    asyncio.run(with_a_tenant(tmp_path / "data"))
    return Shell(tmp_path, capsys)


async def with_a_tenant(folder: Path) -> None:
    database = await Database.open(database_url(folder))
    async with database.transaction() as tx:
        await Inventory(database, SystemClock()).create_tenant(tx, "Nordvik")
    await database.close()


def openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, check=False, text=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "command", ["", "create", "show", "roll-over", "retire", "issue", "renew", "revoke", "list", "crl", "enrol"]
)
def test_every_action_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["ca", *command.split(), "--help"]) == 0

    said = capsys.readouterr().out
    assert said.startswith("usage: shoal ca")
    assert "None" not in said


def test_an_authority_is_made_a_device_gets_a_certificate_and_openssl_verifies_it(shell: Shell) -> None:
    authority = shell.create("--curve", "P-384", "--years", "5")
    shell("show", authority, "--out", "trust.pem")
    told = shell("issue", "oxy-0417", "--uri", "urn:dev:ops:1-2", "--out", "oxy")
    shell("issue", "--server", "gw.example", "--server", "127.0.0.1", "--out", "gw")

    assert re.match(r"crt-\w+ for oxy-0417, until 20\d\d-", told)
    assert openssl("verify", "-CAfile", "trust.pem", "-purpose", "sslclient", "oxy.pem") == "oxy.pem: OK\n"
    assert openssl("verify", "-CAfile", "trust.pem", "-purpose", "sslserver", "gw.pem") == "gw.pem: OK\n"
    assert "urn:dev:ops:1-2" in openssl("x509", "-noout", "-text", "-in", "oxy.pem")
    assert openssl("pkey", "-in", "oxy.key", "-pubout") == openssl("x509", "-in", "oxy.pem", "-noout", "-pubkey")
    assert stat.S_IMODE((shell.folder / "oxy.key").stat().st_mode) == 0o600
    assert authority in shell("show")


def test_nothing_is_overwritten_and_nothing_is_issued_then(shell: Shell) -> None:
    shell.create()
    shell("issue", "oxy", "--out", "oxy")
    before = (shell.folder / "oxy.key").read_bytes()

    assert "nothing is overwritten" in shell("issue", "oxy", "--out", "oxy", code=2)
    (shell.folder / "oxy.key").unlink()
    assert "nothing is overwritten" in shell("issue", "oxy", "--out", "oxy", code=2)
    assert not (shell.folder / "oxy.key").exists()
    assert "nothing is overwritten" in shell("show", "--out", "oxy.pem", code=2)
    assert len(shell("list").splitlines()) == 1
    assert b"PRIVATE KEY" in before


def test_a_key_that_was_made_on_the_device_stays_there(shell: Shell) -> None:
    shell.create()
    (shell.folder / "oxy.csr").write_bytes(request("oxy", encoding=Encoding.PEM))

    printed = shell("issue", "oxy", "--csr", "oxy.csr")
    made = shell("issue", "oxy")

    assert "BEGIN CERTIFICATE" in printed
    assert "PRIVATE KEY" not in printed
    assert "PRIVATE KEY" in made
    assert "endpoint name" in shell("issue", "other", "--csr", "oxy.csr", code=2)
    assert "No such file" in shell("issue", "oxy", "--csr", "absent", code=2)


def test_many_are_read_from_a_file_and_all_that_is_wrong_is_told_before_anything_is_issued(shell: Shell) -> None:
    shell.create()
    (shell.folder / "b.csr").write_bytes(request("b"))
    devices = shell.folder / "devices.csv"
    devices.write_text("endpoint,uri,csr\na,urn:a:1,\n../x,,\na,,\n,,\nc,,b.csr\n")
    refused = shell("issue", "--from", "devices.csv", "--out", "new", code=2)
    devices.write_text("endpoint,uri,csr\na,urn:a:1,\nb,,b.csr\n")

    assert [f"line {line}" in refused for line in range(2, 7)] == [False, True, True, True, True]
    assert shell("list") == ""
    assert shell("issue", "--from", "devices.csv", "--out", "new").startswith("2 certificates")
    assert sorted(file.name for file in (shell.folder / "new").iterdir()) == ["a.key", "a.pem", "b.pem"]
    assert "nothing is overwritten" in shell("issue", "--from", "devices.csv", "--out", "new", code=2)
    devices.write_text("name\na\n")
    assert "expected the columns" in shell("issue", "--from", "devices.csv", "--out", "more", code=2)


def test_a_certificate_is_renewed_revoked_and_on_the_list(shell: Shell) -> None:
    authority = shell.create()
    id_ = shell("issue", "oxy", "--days", "30", "--out", "oxy").split()[0]
    shell("renew", id_, "--out", "renewed")
    shell("show", "--out", "trust.pem")

    assert "is revoked (keyCompromise)" in shell("revoke", id_, "--reason", "keyCompromise")
    assert "revoked" in shell("renew", id_, "--out", "again", code=2)
    shell("crl", "--out", "list.crl")
    openssl("crl", "-inform", "DER", "-in", "list.crl", "-out", "list.pem")
    check = ("verify", "-crl_check", "-CAfile", "trust.pem", "-CRLfile", "list.pem")
    assert "certificate revoked" in openssl(*check, "oxy.pem")
    assert openssl(*check, "renewed.pem") == "renewed.pem: OK\n"
    rows = shell("list").splitlines()
    assert [row.split()[2] for row in rows] == ["revoked", "good"]
    assert shell("list", "--expires-within", "60").splitlines() == rows[:1]
    assert shell("list", "--endpoint", "other") == ""
    assert authority in shell("show")


def test_an_intermediate_of_a_root_that_is_kept_elsewhere_is_taken_in(shell: Shell) -> None:
    for command in (
        "ecparam -name prime256v1 -genkey -noout -out root.key",
        "req -x509 -new -key root.key -subj /CN=Cellar -days 30 -out root.pem -addext keyUsage=critical,keyCertSign",
        "ecparam -name prime256v1 -genkey -noout -out site.key",
        "req -new -key site.key -subj /CN=Site -out site.csr",
    ):
        openssl(*command.split())
    (shell.folder / "ext").write_text(
        "basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
    )
    openssl(
        *[
            "x509",
            "-req",
            "-in",
            "site.csr",
            "-CA",
            "root.pem",
            "-CAkey",
            "root.key",
            "-days",
            "20",
            "-extfile",
            "ext",
            "-out",
            "site.pem",
        ]
    )
    (shell.folder / "chain.pem").write_text(
        (shell.folder / "site.pem").read_text() + (shell.folder / "root.pem").read_text()
    )

    assert "intermediate" in shell("create", "Site", "--certificate", "chain.pem", "--key", "site.key")
    shell("issue", "oxy", "--out", "oxy")

    assert (
        openssl("verify", "-CAfile", "root.pem", "-untrusted", "site.pem", "-purpose", "sslclient", "oxy.pem")
        == "oxy.pem: OK\n"
    )
    assert "another certificate" in shell("create", "X", "--certificate", "chain.pem", "--key", "root.key", code=2)


def test_a_successor_takes_over(shell: Shell) -> None:
    old = shell.create()
    new = shell("roll-over", old).split()[0]

    states = {line.split()[0]: line.split()[1] for line in shell("show").splitlines()}
    assert states == {old: "retiring", new: "current"}
    assert "retired" in shell("retire", old)
    assert "is retired" in shell("retire", old, code=2)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["issue"], "name one ENDPOINT"),
        (["issue", "a", "--server", "b"], "name one ENDPOINT"),
        (["issue", "--server", "b", "--csr", "x"], "of one ENDPOINT"),
        (["issue", "--from", "absent.csv", "--out", "x"], "cannot be read"),
        (["issue", "--from", "absent.csv"], "name it with --out"),
        (["issue", "a", "--days", "0"], "expected 1 hour"),
        (["issue", "a", "--days", "1e300"], "expected 1 hour"),
        (["issue", "a"], "there is none that issues"),
        (["show", "aut-0"], "no such authority"),
        (["renew", "crt-0"], "no such certificate"),
        (["create", "x", "--key", "y"], "belong together"),
        (["create", "x", "--key", "y", "--certificate", "z"], "cannot be read"),
        (["enrol", "x", "--days", "1000"], "expected 5 minutes"),
        (["list", "--tenant", "nobody"], "no such tenant"),
    ],
)
def test_a_wrong_call_is_one_line_that_says_what_to_do(arguments: list[str], reason: str, shell: Shell) -> None:
    said = shell(*arguments, code=2)

    assert reason in said
    assert said.count("\n") == 1


def test_a_secret_to_enrol_with_is_printed_alone_and_all_that_was_done_is_in_the_audit_log(shell: Shell) -> None:
    shell.create()
    secret = shell("enrol", "oxy").strip()
    shell("issue", "oxy", "--out", "oxy")

    assert re.fullmatch(r"[a-z2-7]{32}", secret)

    async def entries() -> list[tuple[str, str, str]]:
        database = await Database.open(database_url(shell.folder / "data"))
        tenant = (await Inventory(database, SystemClock()).tenants(limit=1)).items[0].id
        found = await Audit(database).entries(tenant)
        await database.close()
        assert not any(secret in str(entry) for entry in found)
        return [(entry.act.action, entry.act.resource, entry.by) for entry in reversed(found)]

    assert asyncio.run(entries()) == [
        ("create", "authorities", "command line"),
        ("enrol", "enrolments", "command line"),
        ("issue", "certificates", "command line"),
    ]
