"""All settings, in one place: from the command line, then the environment (SHOAL_*), then files of secrets, then one TOML file.

The only place that reads the environment. Secrets may be files, one each, named like the variable (`shoal_smtp_password`), in
the folder SHOAL_SECRETS or, under systemd, in its folder of credentials. Every setting is described here; `shoal up --help` and docs/operating.md
show the same words.
"""

import os
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, quote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from shoal.errors import Rejected
from shoal.lwm2m.short_id import SHORT_ID, SHORT_ID_MAX
from shoal.storage.folder import database_url

DEFAULT_FILE = Path("shoal.toml")

# How devices may connect: protected, or believed.
SECURE_COAP = frozenset({"coaps", "coaps+tcp"})
PLAIN_COAP = frozenset({"coap", "coap+tcp"})


class Settings(BaseSettings):
    """What an operator can decide. Unknown names are refused, so that a typing error does not pass silently."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_", env_ignore_empty=True, extra="forbid", frozen=True)

    data: Path = Field(Path("shoal-data"), description="folder that holds everything Shoal must remember")
    master_key: Path | None = Field(
        None, description="file with the 32 bytes that encrypt secrets at rest; by default made in `data`"
    )
    listen: Annotated[tuple[str, ...], NoDecode] = Field(
        ("coaps://127.0.0.1:5684",),
        description="where devices connect; coaps://HOST:PORT (DTLS) and coaps+tcp://HOST:PORT (TLS), or for plain CoAP in labs coap://HOST:PORT and coap+tcp://HOST:PORT",
    )
    bootstrap_listen: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="where devices are given their account (bootstrap); coaps://HOST:PORT, off unless given",
    )
    short_server_id: int = Field(
        SHORT_ID,
        ge=1,
        le=SHORT_ID_MAX,
        description="the number by which devices with several servers know this one; bootstrap hands it out",
    )
    bootstrap_lifetime_s: int = Field(
        86_400, ge=60, le=31_536_000, description="lifetime of registrations in the accounts that bootstrap hands out"
    )
    peer_listen: str | None = Field(
        None,
        description="HOST:PORT (UDP) where other gateways hand over what is for this one; needed where there are several",
    )
    peer_address: str | None = Field(
        None, description="HOST:PORT under which they reach it, where that is not `peer_listen` itself"
    )
    allow_plain_coap: bool = Field(False, description="listen to plain CoAP beyond this machine, all the same")
    web: str = Field("127.0.0.1:8080", description="HOST:PORT of the pages, and of the API where one process runs both")
    api: str = Field("127.0.0.1:8081", description="HOST:PORT of the API where it is a process of its own")
    api_url: str | None = Field(
        None, description="where the pages find the API of another process, https:// beyond this machine"
    )
    api_ca: Path | None = Field(None, description="PEM file with the authority that signed the API's certificate")
    ops: str | None = Field(
        None, description="HOST:PORT of /healthz, /readyz and /metrics for a role that serves nothing else"
    )
    tls_cert: Path | None = Field(None, description="PEM file with the certificate chain for the pages and the API")
    tls_key: Path | None = Field(None, description="PEM file with its private key")
    est: str | None = Field(
        None,
        description="HOST:PORT where devices fetch and renew certificates by EST (RFC 7030); needs tls_cert and tls_key",
    )
    device_cert: Path | None = Field(
        None,
        description="PEM file with the certificate chain for devices that prove themselves with certificates; read again when it changes",
    )
    device_key: Path | None = Field(None, description="PEM file with its private key, on P-256 or P-384")
    allow_plain_http: bool = Field(False, description="serve pages beyond this machine without TLS, all the same")
    web_secret: Path | None = Field(
        None,
        description="file with 32 random bytes that seal logins, the same for all processes of the pages; by default made in `data`",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "::1"),
        description="addresses or networks of reverse proxies: what they say about where a request comes from is believed",
    )
    open_enrolment: str | None = Field(
        None, description="tenant into which unknown endpoints of a plain CoAP listener are created; for labs"
    )
    public_coap: str | None = Field(
        None, description="coaps://HOST:PORT under which devices reach us, where that is not the listener's own address"
    )
    objects: Path | None = Field(
        None, description="folder with OMA XML files (LWM2M.xml) of further object definitions, or one such file"
    )
    enclosure_option: int | None = Field(
        None,
        ge=65_000,
        le=65_535,
        description="number of the CoAP option that carries the enclosure id; 65308 in the demo",
    )
    partitions: int = Field(4, ge=1, le=256, description="partitions of each topic; cannot be changed later")
    linger_ms: float = Field(
        2.0,
        ge=0,
        le=1000,
        description="how long the gateway gathers what is stored together; four times as long where much comes",
    )
    database: SecretStr | None = Field(
        None,
        description="postgresql://USER@HOST/NAME?sslmode=verify-full; without it the database is a file in `data`",
    )
    database_password: SecretStr | None = Field(None, description="its password, where it is not in `database`")
    kafka: str | None = Field(None, description="Kafka's HOST:PORT[,HOST:PORT]; without it the log is a file in `data`")
    kafka_options: dict[str, str] = Field(
        default_factory=dict, description="further librdkafka settings, such as security.protocol"
    )
    kafka_replication: int = Field(1, ge=1, le=10, description="copies of each topic that Kafka keeps; 3 in a cluster")
    spool_mb: int = Field(
        256, ge=1, le=1_000_000, description="how much the gateway keeps on disk while Kafka is away, in MiB"
    )
    spool: Path | None = Field(
        None,
        description="folder for what the gateway keeps while Kafka is away; by default `data`. Gateways that share `data` need one each",
    )
    allow_plain_neighbours: bool = Field(
        False, description="talk to PostgreSQL, Kafka and the API beyond this machine without TLS, all the same"
    )
    smtp_host: str | None = Field(None, description="mail server for notifications; without it mails wait")
    smtp_port: int = Field(587, ge=1, le=65_535, description="its port")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="none only for a mail server on this machine"
    )
    smtp_user: str | None = Field(None, description="who we are to the mail server")
    smtp_password: SecretStr | None = Field(None, description="its password; better in the environment than in a file")
    mail_from: str = Field("shoal@localhost", description="sender of notifications")
    allow_private_webhooks: bool = Field(
        False,
        description="let webhooks call loopback and private addresses, any port, and there plain http; "
        "not where tenants are strangers to each other",
    )
    public_url: str | None = Field(
        None, description="address of the pages as people and devices reach them: for links in mails, for downloads"
    )
    audit_days: int = Field(365, ge=1, le=3_650, description="for how many days the audit log is kept")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")
    log_format: Literal["text", "json"] = Field("text", description="text, or json: one object a line, for programs")
    otel_endpoint: str | None = Field(
        None, description="http(s)://HOST:PORT of an OpenTelemetry collector (OTLP over HTTP); without it no traces"
    )
    otel_share: float = Field(0.1, ge=0, le=1, description="how much of what begins here is traced, from 0 to 1")

    @field_validator("listen", "bootstrap_listen", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for uri in value:
            parts = urlsplit(uri)
            if parts.scheme not in SECURE_COAP | PLAIN_COAP or parts.hostname is None or parts.port is None:
                raise ValueError(
                    f"{uri!r} is not of the form coaps://HOST:PORT, coaps+tcp://HOST:PORT, coap://HOST:PORT "
                    "or coap+tcp://HOST:PORT"
                )
        return value

    @field_validator("bootstrap_listen")
    @classmethod
    def _check_bootstrap_listen(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for uri in value:
            parts = urlsplit(uri)
            # Keys are handed out here: never in clear.
            if parts.scheme != "coaps" or parts.hostname is None or parts.port is None:
                raise ValueError(f"{uri!r} is not of the form coaps://HOST:PORT")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network)
        return value

    @field_validator("database_password", "smtp_password", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("web", "api", "ops", "est", "peer_listen", "peer_address")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(f"//{value}")
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"{value!r} is not of the form HOST:PORT")
        return value

    @field_validator("database")
    @classmethod
    def _check_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and urlsplit(value.get_secret_value()).scheme != "postgresql":
            raise ValueError("not of the form postgresql://USER@HOST/NAME")
        return value

    @field_validator("otel_endpoint")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://localhost")
        if parts.scheme not in {"http", "https"} or parts.hostname is None:
            raise ValueError(f"{value!r} is not of the form https://HOST:PORT")
        return value

    @model_validator(mode="after")
    def _certificates_have_their_keys(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together")
        if self.est is not None and self.tls_cert is None:
            raise ValueError("est is never served in clear: give tls_cert and tls_key, too")
        if self.peer_listen is not None and self.postgres is None:
            raise ValueError(
                "peer_listen is for several gateways, and those need a database that they share: PostgreSQL"
            )
        if (self.device_cert is None) != (self.device_key is None):
            raise ValueError("device_cert and device_key belong together")
        return self

    @model_validator(mode="after")
    def _nothing_leaves_the_machine_in_clear(self) -> Self:
        for name, address in (("web", self.web), ("api", self.api), ("ops", self.ops)):
            if address and not is_loopback(host_of(address)) and self.tls_cert is None and not self.allow_plain_http:
                raise ValueError(
                    f"{name} {address} can be reached from other machines and has no TLS: "
                    "give tls_cert and tls_key, or say allow_plain_http as well"
                )
        for uri in self.listen:
            parts = urlsplit(uri)
            is_plain = parts.scheme not in SECURE_COAP and not is_loopback(parts.hostname or "")
            if is_plain and not self.allow_plain_coap:
                raise ValueError(
                    f"listen {uri} can be reached from other machines and believes any name: "
                    "use coaps:// or coaps+tcp://, or say allow_plain_coap as well"
                )
        if self.bootstrap_listen and not any(urlsplit(uri).scheme == "coaps" for uri in self.listen):
            raise ValueError("bootstrap_listen gives devices keys for a coaps:// listener, and listen has none")
        if not self.allow_plain_neighbours:
            self._neighbours_are_asked_over_tls()
        if self.smtp_host and self.smtp_security == "none" and not is_loopback(self.smtp_host):
            raise ValueError(f"mail to {self.smtp_host} would leave this machine in clear: use starttls or tls")
        return self

    def _neighbours_are_asked_over_tls(self) -> None:
        twice = "or say allow_plain_neighbours as well"
        if self.postgres is not None:
            parts = urlsplit(self.postgres)
            checked = parse_qs(parts.query).get("sslmode", [""])[0] in {"verify-full", "verify-ca"}
            # Without a host it is a socket file of this machine.
            if parts.hostname and not is_loopback(parts.hostname) and not checked:
                raise ValueError(
                    f"the database on {parts.hostname} would be asked without a checked certificate: "
                    f"add ?sslmode=verify-full&sslrootcert=FILE, {twice}"
                )
        if self.kafka is not None and not all(is_loopback(host_of(one)) for one in self.kafka.split(",")):
            protocol = self.kafka_options.get("security.protocol", "").lower()
            if protocol not in {"ssl", "sasl_ssl"}:
                raise ValueError(
                    f"Kafka on {self.kafka} would be asked in clear: set security.protocol in kafka_options, {twice}"
                )
        if self.api_url is not None:
            parts = urlsplit(self.api_url)
            if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
                raise ValueError(f"the API at {self.api_url} would be asked in clear: use https://, {twice}")
        if self.otel_endpoint is not None:
            parts = urlsplit(self.otel_endpoint)
            if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
                raise ValueError(f"traces for {self.otel_endpoint} would leave in clear: use https://, {twice}")

    @property
    def postgres(self) -> str | None:
        """Where PostgreSQL is, its password included; None while the database is a file."""
        if self.database is None:
            return None
        url = self.database.get_secret_value()
        if self.database_password is None:
            return url
        parts = urlsplit(url)
        user, _, address = parts.netloc.rpartition("@")
        password = quote(self.database_password.get_secret_value(), safe="")
        return parts._replace(netloc=f"{user.split(':')[0]}:{password}@{address}").geturl()

    @property
    def database_url(self) -> str:
        """Where the database is, whichever it is."""
        return self.postgres or database_url(self.data)

    @property
    def device_certificate(self) -> tuple[Path, Path] | None:
        """What devices are shown: the files of the chain and of its key."""
        return None if self.device_cert is None or self.device_key is None else (self.device_cert, self.device_key)

    @property
    def base_url(self) -> str:
        """Where people find the pages."""
        return self.public_url or f"{'https' if self.tls_cert else 'http'}://{self.web}"

    @property
    def downloads_url(self) -> str:
        """Where devices find the API for their downloads: through the pages' address, unless those run elsewhere."""
        return self.public_url or self.api_url or self.base_url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        return (init_settings, env_settings, *_secrets(settings_cls), TomlConfigSettingsSource(settings_cls))


def _secrets(settings_cls: type[BaseSettings]) -> tuple[SecretsSettingsSource, ...]:
    folder = os.environ.get("SHOAL_SECRETS") or os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return ()
    if not Path(folder).is_dir():
        raise Rejected("SHOAL_SECRETS", f"there is no folder {folder}")
    return (SecretsSettingsSource(settings_cls, secrets_dir=folder),)


def load(given: dict[str, Any], file: Path | None = None) -> Settings:
    """The settings of this process; `given` came from the command line and wins.

    Raises:
        Rejected: a setting is wrong; names it, and says what it should be.
    """
    if file is not None and not file.is_file():
        raise Rejected("config", f"there is no file {file}")

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file or DEFAULT_FILE)

    try:
        return FromFile(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise Rejected(name, first["msg"].removeprefix("Value error, ")) from error
    except ValueError as error:  # a TOML file that is none
        raise Rejected(str(file or DEFAULT_FILE), str(error)) from error


def host_of(address: str) -> str:
    """The host of HOST:PORT."""
    return urlsplit(f"//{address.strip()}").hostname or ""


def is_loopback(host: str) -> bool:
    """Whether a host can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
