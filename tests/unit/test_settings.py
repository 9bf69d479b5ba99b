"""Settings: where they come from, and what is refused."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Final

import pytest

from shoal.errors import Rejected
from shoal.settings import Settings, is_loopback, load

DOCS: Final = Path(__file__).parents[2] / "docs"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_anything_said_it_listens_on_loopback_only() -> None:
    settings = load({})

    assert settings.listen == ("coaps://127.0.0.1:5684",)
    assert settings.web == "127.0.0.1:8080"
    assert settings.base_url == "http://127.0.0.1:8080"


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "shoal.toml").write_text('web = "127.0.0.1:1"\npartitions = 7\nlinger_ms = 9\n')
    monkeypatch.setenv("SHOAL_PARTITIONS", "8")
    monkeypatch.setenv("SHOAL_LINGER_MS", "10")

    settings = load({"linger_ms": 11.0, "web": None})

    assert (settings.web, settings.partitions, settings.linger_ms) == ("127.0.0.1:1", 8, 11.0)


def test_several_listeners_come_as_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_LISTEN", "coaps://127.0.0.1:5684, coaps+tcp://[::1]:5684,coap+tcp://[::1]:5683")

    monkeypatch.setenv("SHOAL_TRUSTED_PROXIES", "10.0.0.0/8, ::1")

    assert load({}).listen == ("coaps://127.0.0.1:5684", "coaps+tcp://[::1]:5684", "coap+tcp://[::1]:5683")
    assert load({}).trusted_proxies == ("10.0.0.0/8", "::1")


@pytest.mark.parametrize(
    ("given", "subject"),
    [
        ({"web": "8080"}, "web"),
        ({"listen": "udp://127.0.0.1:1"}, "listen"),
        ({"listen": "coaps://127.0.0.1"}, "listen"),
        ({"listen": "coaps+udp://127.0.0.1:5684"}, "listen"),
        ({"bootstrap_listen": "coap://127.0.0.1:5686"}, "bootstrap_listen"),
        ({"bootstrap_listen": "coaps://127.0.0.1:5686", "listen": "coap://127.0.0.1:5683"}, "settings"),
        ({"trusted_proxies": "proxy.example"}, "trusted_proxies"),
        ({"partitions": 0}, "partitions"),
        ({"enclosure_option": 11}, "enclosure_option"),
        ({"kafak": "localhost:9092"}, "kafak"),
        ({"tls_cert": "a.pem"}, "settings"),
        ({"smtp_host": "mail.example.com", "smtp_security": "none"}, "settings"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(given: dict[str, object], subject: str) -> None:
    with pytest.raises(Rejected) as refused:
        load(given)

    assert refused.value.subject == subject


def test_pages_beyond_this_machine_need_tls_or_a_second_word() -> None:
    with pytest.raises(Rejected, match="allow_plain_http"):
        load({"web": "0.0.0.0:8080"})

    assert load({"web": "0.0.0.0:8080", "allow_plain_http": True}).web == "0.0.0.0:8080"
    assert load({"web": "0.0.0.0:8080", "tls_cert": "c.pem", "tls_key": "k.pem"}).base_url == "https://0.0.0.0:8080"


@pytest.mark.parametrize("scheme", ["coap", "coap+tcp"])
def test_plain_coap_beyond_this_machine_needs_a_second_word(scheme: str) -> None:
    with pytest.raises(Rejected, match="allow_plain_coap"):
        load({"listen": f"{scheme}://0.0.0.0:5683"})

    listen = load({"listen": f"{scheme}://0.0.0.0:5683", "allow_plain_coap": True}).listen
    assert listen == (f"{scheme}://0.0.0.0:5683",)


@pytest.mark.parametrize("variable", ["SHOAL_SECRETS", "CREDENTIALS_DIRECTORY"])
def test_secrets_may_be_files_one_each(empty_folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    (empty_folder / "shoal_database_password").write_text("p@ss:w/rd\n")
    (empty_folder / "shoal_smtp_password").write_text("")
    (empty_folder / "master.key").write_bytes(bytes(32))
    monkeypatch.setenv(variable, str(empty_folder))

    settings = load({"database": "postgresql://shoal@db/shoal?sslmode=verify-full&sslrootcert=ca.pem"})

    assert settings.database_url == (
        "postgresql://shoal:p%40ss%3Aw%2Frd@db/shoal?sslmode=verify-full&sslrootcert=ca.pem"
    )
    assert settings.smtp_password is None
    assert "p@ss" not in repr(settings)


def test_the_environment_wins_over_a_file_of_a_secret(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_folder / "shoal_smtp_password").write_text("from the file")
    monkeypatch.setenv("SHOAL_SECRETS", str(empty_folder))
    monkeypatch.setenv("SHOAL_SMTP_PASSWORD", "from the environment")

    password = load({}).smtp_password

    assert password is not None
    assert password.get_secret_value() == "from the environment"


def test_a_folder_of_secrets_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_SECRETS", "/nowhere/at/all")

    with pytest.raises(Rejected, match="no folder"):
        load({})


def test_traces_leave_this_machine_over_tls_only() -> None:
    with pytest.raises(Rejected, match="https"):
        load({"otel_endpoint": "http://collector.example:4318"})
    with pytest.raises(Rejected, match="otel_endpoint"):
        load({"otel_endpoint": "collector:4318"})

    assert load({"otel_endpoint": "http://127.0.0.1:4318"}).otel_endpoint == "http://127.0.0.1:4318"
    assert load({"otel_endpoint": "https://collector.example"}).otel_endpoint == "https://collector.example"


def test_a_file_that_is_not_there_or_not_toml_is_refused(empty_folder: Path) -> None:
    with pytest.raises(Rejected, match="no file"):
        load({}, empty_folder / "absent.toml")

    (empty_folder / "bad.toml").write_text("web = [")
    with pytest.raises(Rejected, match=r"bad\.toml"):
        load({}, empty_folder / "bad.toml")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("example.com", False)],
)
def test_loopback_is_known_by_address_or_by_name(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_page_for_operators_tells_every_setting_as_it_is() -> None:
    spec = spec_from_file_location("generate_settings", DOCS / "generate_settings.py")
    assert spec is not None
    assert spec.loader is not None
    generator = module_from_spec(spec)
    spec.loader.exec_module(generator)

    assert generator.PAGE.read_text() == generator.page(generator.PAGE.read_text()), "run docs/generate_settings.py"
    assert all(field.description for field in Settings.model_fields.values())


def test_devices_never_enrol_in_clear() -> None:
    with pytest.raises(Rejected, match="est is never served in clear"):
        load({"est": "127.0.0.1:8443"})
    assert load({"est": "127.0.0.1:8443", "tls_cert": Path("a"), "tls_key": Path("b")}).est == "127.0.0.1:8443"
    with pytest.raises(Rejected, match="HOST:PORT"):
        load({"est": "nowhere", "tls_cert": Path("a"), "tls_key": Path("b")})
