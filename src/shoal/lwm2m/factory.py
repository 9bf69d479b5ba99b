"""What a device that can be bootstrapped knows from its factory: the account of its bootstrap server, as object 0 has it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from shoal.errors import Rejected
from shoal.lwm2m.account import CERTIFICATE_USAGE_ANCHOR, MODE_NOSEC, MODE_PSK, MODE_X509
from shoal.lwm2m.certificates import Certificate
from shoal.lwm2m.path import Path
from shoal.lwm2m.value import Scalar

# Of the only server there is; any number but 0 and 65535 would do.
SHORT_SERVER_ID: Final = 1
# Whom a device talks to and what each may do: Security, Server, Access Control and OSCORE. Only bootstrap writes them.
ACCOUNT_OBJECTS: Final = (0, 1, 2, 21)


def factory_account(
    server: str, identity: str | None, key: bytes | None, certificate: Certificate | None
) -> dict[str, Scalar]:
    """The values of `/0/0`: the bootstrap server's URI, and what the device proves itself with there.

    Raises:
        Rejected: a certificate that object 0 has no room for, with its issuers or more than one authority.
    """
    values: dict[str, Scalar] = {"/0/0/0": server, "/0/0/1": True, "/0/0/2": MODE_NOSEC}
    if identity is not None and key is not None:
        return values | {"/0/0/2": MODE_PSK, "/0/0/3": identity.encode(), "/0/0/5": key}
    if certificate is None:
        return values
    if len(certificate.chain) != 1 or len(certificate.authorities) != 1:
        raise Rejected("certificate", "object 0 has room for one certificate and one authority")
    shown: dict[str, Scalar] = {
        "/0/0/2": MODE_X509,
        "/0/0/3": certificate.chain[0],
        "/0/0/4": certificate.authorities[0],
        "/0/0/5": certificate.key,
        "/0/0/15": CERTIFICATE_USAGE_ANCHOR,
    }
    return values | shown | ({} if certificate.server_name is None else {"/0/0/14": certificate.server_name})


def server_object(server: str, lifetime: timedelta) -> dict[str, Scalar]:
    """The values of `/1/0`, which every client has (OMA LwM2M Core 1.1 §E.2): of the server that it was told."""
    return {
        "/1/0/0": SHORT_SERVER_ID,
        "/1/0/1": int(lifetime.total_seconds()),
        "/1/0/6": True,
        "/1/0/7": "T" if urlsplit(server).scheme.endswith("+tcp") else "U",
    }


def without_accounts(values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """All other values."""
    return {path: value for path, value in values.items() if Path.parse(path).object not in ACCOUNT_OBJECTS}
