"""`shoal-ready URL`: exit code 0 when a process of Shoal says that it is ready; for health checks of containers.

A command of its own, with nothing of the rest: it runs every few seconds beside each role.
"""

import argparse
import ssl
import sys
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

# Longer than a process waits for its own neighbours before it answers.
TIMEOUT_S: Final = 4.0
# What is away, in a few words.
ANSWER_BYTES_MAX: Final = 4_096


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the command `shoal-ready`."""
    parser = argparse.ArgumentParser(prog="shoal-ready", description="Whether a process of Shoal is ready.")
    parser.add_argument("url", metavar="URL", help="where it answers: https://localhost:9090")
    parser.add_argument("--ca", metavar="FILE", help="PEM file with the authority that signed its certificate")
    given = parser.parse_args(arguments)
    sys.exit(asked(given.url, given.ca))


def asked(url: str, ca: str | None) -> int:
    """0 when it is ready, 1 when it is not or does not answer; says why on standard error."""
    parts = urlsplit(url)
    try:
        connection = _connection(parts.scheme, parts.netloc, ca)
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = answer.read(ANSWER_BYTES_MAX).decode(errors="replace")
    except (OSError, HTTPException) as error:
        return _no(f"{url}: {error}")
    return 0 if answer.status == HTTPStatus.OK else _no(said)


def _connection(scheme: str, address: str, ca: str | None) -> HTTPConnection:
    if scheme != "https":
        return HTTPConnection(address, timeout=TIMEOUT_S)
    return HTTPSConnection(address, timeout=TIMEOUT_S, context=ssl.create_default_context(cafile=ca))


def _no(reason: str) -> int:
    sys.stderr.write(f"shoal-ready: {reason.strip()}\n")
    return 1
