"""What is in deploy/ fits the product: settings that exist, commands that exist, certificates that convince, units that load.

Whether Docker itself likes it is not proved here; docs/deploying.md says what was run and what was not.
"""

import json
import re
import shutil
import ssl
import stat
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml
from cryptography import x509

from shoal.cli.command_line import _settings, parser
from shoal.settings import Settings
from tests.harness.broker import KAFKA_VERSION

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = ROOT / "deploy"
ROLES: Final = ("gateway", "api", "web", "health", "alerts", "campaigns")
HOST: Final = "shoal.example"


# -- compose.yaml: the parts of the Compose Specification that it uses, strictly ----------------------------------------


class Condition(msgspec.Struct, forbid_unknown_fields=True):
    condition: str


class Healthcheck(msgspec.Struct, forbid_unknown_fields=True):
    test: list[str]
    interval: str
    timeout: str
    start_period: str
    retries: int = 3
    start_interval: str = "5s"


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    cpus: str
    memory: str


class Resources(msgspec.Struct, forbid_unknown_fields=True):
    limits: Limits


class Deploy(msgspec.Struct, forbid_unknown_fields=True):
    resources: Resources


class Build(msgspec.Struct, forbid_unknown_fields=True):
    context: str
    dockerfile: str


class Logging(msgspec.Struct, forbid_unknown_fields=True):
    driver: str
    options: dict[str, str]


class Service(msgspec.Struct, forbid_unknown_fields=True):
    image: str
    deploy: Deploy
    logging: Logging
    restart: str
    command: list[str] | None = None
    build: Build | None = None
    entrypoint: list[str] | None = None
    environment: dict[str, str] = {}
    secrets: list[str] = []
    volumes: list[str] = []
    networks: list[str] = []
    network_mode: str | None = None
    ports: list[str] = []
    profiles: list[str] = []
    depends_on: dict[str, Condition] = {}
    healthcheck: Healthcheck | None = None
    cap_drop: list[str] = []
    cap_add: list[str] = []
    security_opt: list[str] = []
    read_only: bool = False
    tmpfs: list[str] = []
    user: str | None = None
    shm_size: str | None = None
    stop_grace_period: str = "10s"


class SecretFile(msgspec.Struct, forbid_unknown_fields=True):
    file: str


class Network(msgspec.Struct, forbid_unknown_fields=True):
    internal: bool = False


class Volume(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Compose(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    services: dict[str, Service]
    secrets: dict[str, SecretFile]
    networks: dict[str, Network]
    volumes: dict[str, Volume]


def compose(**environment: str) -> Compose:
    """The file as Docker sees it: with what stands in .env put in."""
    data = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    plain = {name: value for name, value in data.items() if not name.startswith("x-")}
    return msgspec.convert(_filled(plain, {"SHOAL_HOST": HOST} | environment), type=Compose)


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    """`${NAME}`, `${NAME:-default}`, `${NAME:?reason}`, in every text."""
    if isinstance(value, dict):
        return {key: _filled(inner, environment) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, environment) for inner in value]
    if not isinstance(value, str):
        return value

    def put_in(found: re.Match[str]) -> str:
        name, default = found[1], found[3]
        assert name in environment or found[2] == ":-", f"{name} is asked for"
        return environment.get(name, default or "")

    return re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", put_in, value)


def test_every_role_and_every_neighbour_is_there() -> None:
    services = compose().services

    assert services.keys() == {"certificates", "migrate", "postgres", "kafka", "prometheus", *ROLES}
    assert {name for name, service in services.items() if not service.profiles} == services.keys() - {"prometheus"}


@pytest.mark.parametrize("name", [*ROLES, "migrate"])
def test_every_command_and_every_setting_of_a_role_is_understood(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = compose().services[name]
    for secret in service.secrets:
        (tmp_path / secret).write_text("a password" if "database" in secret else "")
    monkeypatch.chdir(tmp_path)
    # As the image has it, then as the service has it.
    for key, value in (image_environment() | service.environment).items():
        monkeypatch.setenv(key, value.replace("/run/secrets", str(tmp_path)))

    assert service.command is not None
    settings = _settings(parser().parse_args(service.command))

    known = {f"SHOAL_{field.upper()}" for field in Settings.model_fields} | {"SHOAL_SECRETS"}
    assert service.environment.keys() - known == set()
    # Nothing of it leaves the machine in clear, and nobody said that it may.
    assert (settings.allow_plain_http, settings.allow_plain_neighbours) == (False, False)
    if name != "web":
        assert settings.database_url is not None
        assert "a%20password@postgres/" in settings.database_url
        assert settings.kafka_options["security.protocol"] == "ssl"
    assert settings.smtp_password is None


def test_kafka_is_the_version_that_the_tests_run_against() -> None:
    assert compose().services["kafka"].image == f"apache/kafka:{KAFKA_VERSION}"


def test_a_mail_server_is_named_in_the_environment_and_its_password_in_a_file() -> None:
    service = compose(SHOAL_SMTP_HOST="mail.example", SHOAL_SMTP_USER="shoal").services["alerts"]

    assert (service.environment["SHOAL_SMTP_HOST"], service.environment["SHOAL_SMTP_USER"]) == ("mail.example", "shoal")
    assert "SHOAL_SMTP_PASSWORD" not in service.environment
    assert "shoal_smtp_password" in service.secrets


def test_no_secret_stands_in_the_file() -> None:
    named = compose()

    assert [path for path in named.secrets.values() if not path.file.startswith("./secrets/")] == []
    assert {secret for service in named.services.values() for secret in service.secrets} == named.secrets.keys()
    text = (DEPLOY / "compose.yaml").read_text()
    assert re.findall(r"(?i)password:\s*[^\s{]|://\w+:\w+@", text) == []


def test_every_volume_and_network_is_used_and_every_used_one_is_there() -> None:
    found = compose()
    mounted = [volume.split(":") for service in found.services.values() for volume in service.volumes]

    assert {source for source, *_ in mounted if not source.startswith(".")} == found.volumes.keys()
    assert [source for source, *_ in mounted if source.startswith(".") and not (DEPLOY / source).exists()] == []
    assert {network for service in found.services.values() for network in service.networks} == found.networks.keys()
    # What nobody beyond the machine asks, or asks of it, has no way out.
    inside = [name for name, service in found.services.items() if service.networks == ["inner"]]
    assert inside == ["migrate", "postgres", "kafka", "health", "campaigns"]
    assert found.networks["inner"].internal


def test_the_paths_that_settings_name_are_mounted() -> None:
    for name, service in compose().services.items():
        places = {volume.split(":")[1] for volume in service.volumes} | {"/run/secrets"}
        named = re.findall(r"(?<![\w:.])(/(?!/)[a-z]+)/", " ".join(service.environment.values()))
        assert {path for path in named if path not in places} <= {"/run"}, name


def test_containers_may_do_nothing_that_they_need_not() -> None:
    for name, service in compose().services.items():
        assert service.cap_drop == ["ALL"], name
        assert service.security_opt == ["no-new-privileges:true"], name
        if name not in {"postgres", "kafka"}:
            assert service.read_only, name
    assert {name: service.cap_add for name, service in compose().services.items() if service.cap_add} == {
        "certificates": ["CHOWN", "DAC_OVERRIDE"]
    }


def test_it_starts_in_an_order_and_everything_that_stays_says_whether_it_is_well() -> None:
    services = compose().services

    for name in ROLES:
        check = services[name].healthcheck
        assert check is not None
        assert check.test[1] == "shoal-ready"
        port = check.test[2].rsplit(":", 1)[1]
        listens = services[name].environment["SHOAL_API" if name == "api" else "SHOAL_OPS"]
        assert listens.endswith(f":{port}")
    for name in set(ROLES) - {"web"}:
        assert services[name].depends_on["migrate"].condition == "service_completed_successfully"
    for service in services.values():
        for other, how in service.depends_on.items():
            is_once = services[other].restart == "no"
            assert how.condition == ("service_completed_successfully" if is_once else "service_healthy")
            assert is_once or services[other].healthcheck is not None


def test_prometheus_asks_every_role_by_a_name_in_its_certificate() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"][0]
    services = compose().services

    targets = dict(target.split(":") for target in scraped["static_configs"][0]["targets"])

    assert targets.keys() == set(ROLES)
    for name, port in targets.items():
        assert services[name].environment["SHOAL_API" if name == "api" else "SHOAL_OPS"].endswith(f":{port}")
    assert set(ROLES) <= {host for wanted in wanted_certificates() for host in wanted.rsplit(":", 1)[1].split(",")}


def test_rules_say_what_to_do_and_whom_to_wake() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())["groups"][0]["rules"]

    assert len({rule["alert"] for rule in rules}) == len(rules) >= 10
    for rule in rules:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "action"}


def test_panels_are_questions() -> None:
    panels = json.loads((DEPLOY / "grafana" / "shoal.json").read_text())["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [panel["title"] for panel in panels if panel["type"] != "row" and not panel["title"].endswith("?")] == []


# -- the image ----------------------------------------------------------------------------------------------------------


def image_environment() -> dict[str, str]:
    """What the image itself sets, of ours."""
    return dict(re.findall(r"\b(SHOAL_\w+)=(\S+)", (DEPLOY / "Dockerfile").read_text()))


def test_the_image_is_built_by_the_compiler_that_the_checkout_names() -> None:
    channel = tomllib.loads((ROOT / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
    text = (DEPLOY / "Dockerfile").read_text()

    assert f"FROM rust:{channel}-" in text
    assert f"RUSTUP_TOOLCHAIN={channel}" in text


def test_the_image_runs_as_a_user_that_is_not_root_and_has_all_that_it_names() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["10001:10001"]
    named = [
        json.loads(found)[0] for found in re.findall(r"(?:^ENTRYPOINT|HEALTHCHECK.* CMD) (\[.*\])", text, re.MULTILINE)
    ]
    assert set(named) <= scripts.keys()
    copied = re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE)
    assert [path for path in copied if not (ROOT / path).exists()] == []
    # What was built or is secret on the machine that builds stays there.
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "deploy/secrets", "deploy/.env"} <= set(ignored)


# -- certificates -------------------------------------------------------------------------------------------------------


def wanted_certificates() -> list[str]:
    command = compose().services["certificates"].command or []
    return [argument.removeprefix("--for=") for argument in command if argument.startswith("--for=")]


def make_certificates(folder: Path) -> str:
    """As the container does, with its folders below ours."""
    wanted = [f"--for={text.replace(':/tls', f':{folder}/tls')}" for text in wanted_certificates()]
    command = [sys.executable, str(DEPLOY / "certificates.py"), f"--authority={folder}/authority", *wanted]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_server_convinces_by_every_of_its_names_and_nobody_else_does(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    tls = tmp_path / "tls"

    assert shakes_hands(tls, server="postgres", host="postgres")
    assert shakes_hands(tls, server="kafka", host="kafka")
    for host in (*ROLES, "localhost", HOST):
        assert shakes_hands(tls, server="shoal", host=host)
    assert not shakes_hands(tls, server="postgres", host="kafka")
    assert not shakes_hands(tls, server="shoal", host="postgres")


def test_keys_are_their_owners_alone_and_the_authority_is_for_all(tmp_path: Path) -> None:
    make_certificates(tmp_path)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}

    assert {name for name, mode in modes.items() if mode & 0o077} == {"ca.pem"}
    assert not (tmp_path / "tls" / "shoal" / "ca.key").exists()


def test_what_is_good_stays_and_what_runs_out_or_changes_its_names_is_made_anew(tmp_path: Path) -> None:
    first = make_certificates(tmp_path)
    known = (tmp_path / "tls" / "kafka" / "kafka.pem").read_bytes()
    authority = (tmp_path / "authority" / "ca.pem").read_bytes()

    second = make_certificates(tmp_path)

    assert (first.count("made"), second.count("still good")) == (3, 3)
    lives = x509.load_pem_x509_certificate(known).not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=395) < lives < timedelta(days=398)
    # Another name for people and devices.
    command = [
        sys.executable, str(DEPLOY / "certificates.py"), f"--authority={tmp_path}/authority",
        f"--for=kafka:1000:{tmp_path}/tls/kafka:kafka,localhost,broker.example",
    ]  # fmt: skip
    assert "made" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shakes_hands(tmp_path / "tls", server="kafka", host="broker.example")
    assert (tmp_path / "authority" / "ca.pem").read_bytes() == authority


def shakes_hands(tls: Path, *, server: str, host: str) -> bool:
    """Whether a role, with its own certificate, and a server that wants one, believe each other."""
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.load_cert_chain(tls / server / f"{server}.pem", tls / server / f"{server}.key")
    listening.load_verify_locations(tls / server / "ca.pem")
    listening.verify_mode = ssl.CERT_REQUIRED
    calling = ssl.create_default_context(cafile=str(tls / "shoal" / "ca.pem"))
    calling.load_cert_chain(tls / "shoal" / "shoal.pem", tls / "shoal" / "shoal.key")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        calling.wrap_bio(down, up, server_hostname=host),
        listening.wrap_bio(up, down, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return sides[0].version() is not None and sides[1].getpeercert() is not None


# -- systemd ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("role", ["", *ROLES])
def test_units_are_understood_by_systemd_itself(tmp_path: Path, role: str) -> None:
    name = f"shoal@{role}.service" if role else "shoal.service"
    text = (DEPLOY / "systemd" / ("shoal@.service" if role else name)).read_text()
    # The command is not installed here.
    (tmp_path / name).write_text(text.replace("/opt/shoal/bin/shoal", "/bin/true"))
    shutil.copy(DEPLOY / "systemd" / "shoal.target", tmp_path)

    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / name)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_units_are_as_closed_as_systemd_can_make_them(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "systemd" / "shoal.service", tmp_path)

    # From 0 (closed) to 100 (open). What is left open is the network.
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(tmp_path / "shoal.service")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-500:]


def test_both_units_are_closed_alike_and_start_commands_that_exist() -> None:
    one, role = ((DEPLOY / "systemd" / name).read_text() for name in ("shoal.service", "shoal@.service"))

    assert one[one.index("# What it may do") : one.index("[Install]")] in role
    for text, instance in ((one, ""), *((role, name) for name in ROLES)):
        [command] = re.findall(r"^ExecStart=/opt/shoal/bin/shoal (.+)$", text, re.MULTILINE)
        parser().parse_args(command.replace("%i", instance).split())
        known = {f"SHOAL_{field.upper()}" for field in Settings.model_fields}
        assert set(re.findall(r"^Environment=(\w+)=", text, re.MULTILINE)) <= known
