"""All settings, in one place: from the command line, then the environment (SHOAL_*), then one TOML file.

The only place that reads the environment. Every setting is described here; `shoal up --help` and docs/operating.md
show the same words.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from shoal.errors import Rejected

DEFAULT_FILE = Path("shoal.toml")


class Settings(BaseSettings):
    """What an operator can decide. Unknown names are refused, so that a typing error does not pass silently."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_", extra="forbid", frozen=True)

    data: Path = Field(Path("shoal-data"), description="folder that holds everything Shoal must remember")
    listen: Annotated[tuple[str, ...], NoDecode] = Field(
        ("coaps://127.0.0.1:5684",),
        description="where devices connect; coaps://HOST:PORT, or coap://HOST:PORT for plain CoAP in labs",
    )
    web: str = Field("127.0.0.1:8080", description="HOST:PORT of the pages and of the API")
    tls_cert: Path | None = Field(None, description="PEM file with the certificate chain for the pages and the API")
    tls_key: Path | None = Field(None, description="PEM file with its private key")
    allow_plain_http: bool = Field(False, description="serve pages beyond this machine without TLS, all the same")
    open_enrolment: str | None = Field(
        None, description="tenant into which unknown endpoints of a plain CoAP listener are created; for labs"
    )
    public_coap: str | None = Field(
        None, description="coaps://HOST:PORT under which devices reach us, where that is not the listener's own address"
    )
    enclosure_option: int | None = Field(
        None,
        ge=65_000,
        le=65_535,
        description="number of the CoAP option that carries the enclosure id; 65308 in the demo",
    )
    partitions: int = Field(4, ge=1, le=256, description="partitions of each topic; cannot be changed later")
    linger_ms: float = Field(2.0, ge=0, le=1000, description="how long the gateway gathers what is stored together")
    kafka: str | None = Field(None, description="Kafka's HOST:PORT[,HOST:PORT]; without it the log is a file in `data`")
    kafka_options: dict[str, str] = Field(
        default_factory=dict, description="further librdkafka settings, such as security.protocol"
    )
    kafka_replication: int = Field(1, ge=1, le=10, description="copies of each topic that Kafka keeps; 3 in a cluster")
    smtp_host: str | None = Field(None, description="mail server for notifications; without it mails wait")
    smtp_port: int = Field(587, ge=1, le=65_535, description="its port")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="none only for a mail server on this machine"
    )
    smtp_user: str | None = Field(None, description="who we are to the mail server")
    smtp_password: SecretStr | None = Field(None, description="its password; better in the environment than in a file")
    mail_from: str = Field("shoal@localhost", description="sender of notifications")
    public_url: str | None = Field(
        None, description="address of the pages as people and devices reach them: for links in mails, for downloads"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")

    @field_validator("listen", mode="before")
    @classmethod
    def _split_listen(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for uri in value:
            parts = urlsplit(uri)
            if parts.scheme not in {"coap", "coaps"} or parts.hostname is None or parts.port is None:
                raise ValueError(f"{uri!r} is not of the form coaps://HOST:PORT or coap://HOST:PORT")
        return value

    @field_validator("web")
    @classmethod
    def _check_web(cls, value: str) -> str:
        parts = urlsplit(f"//{value}")
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"{value!r} is not of the form HOST:PORT")
        return value

    @model_validator(mode="after")
    def _nothing_leaves_the_machine_in_clear(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together")
        if not is_loopback(self.web_host) and self.tls_cert is None and not self.allow_plain_http:
            raise ValueError(
                f"web {self.web} can be reached from other machines and has no TLS: "
                "give tls_cert and tls_key, or say allow_plain_http as well"
            )
        if self.smtp_host and self.smtp_security == "none" and not is_loopback(self.smtp_host):
            raise ValueError(f"mail to {self.smtp_host} would leave this machine in clear: use starttls or tls")
        return self

    @property
    def web_host(self) -> str:
        return urlsplit(f"//{self.web}").hostname or ""

    @property
    def web_port(self) -> int:
        return urlsplit(f"//{self.web}").port or 0

    @property
    def base_url(self) -> str:
        """Where people find the pages."""
        return self.public_url or f"{'https' if self.tls_cert else 'http'}://{self.web}"

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
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))


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


def is_loopback(host: str) -> bool:
    """Whether a host can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
