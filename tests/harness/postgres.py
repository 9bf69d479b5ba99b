"""A PostgreSQL of our own for the length of a test run: on loopback, with a password, gone afterwards."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

DEBIAN: Final = Path("/usr/lib/postgresql")
# A cold disk and a busy machine may take their time; whoever waits this long has failed.
PATIENCE_S: Final = 60


def tools() -> Path | None:
    """The folder with the newest server's programs; None where there is no PostgreSQL."""
    found = [path for path in DEBIAN.glob("*/bin") if (path / "initdb").exists() and path.parts[-2].isdecimal()]
    return max(found, key=lambda path: int(path.parts[-2]), default=None)


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a running server with an empty database."""
    programs = tools()
    assert programs is not None
    # The server refuses to run as root, and Debian's user may not look into root's folders.
    folder = Path(tempfile.mkdtemp(prefix="shoal-postgres-", dir="/var/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    data, password = folder / "data", secrets.token_urlsafe(12)
    try:
        (folder / "password").write_text(password)
        options = ("-U", "shoal", "-A", "scram-sha-256", "-E", "UTF8")
        _run(programs / "initdb", "-D", data, *options, f"--pwfile={folder / 'password'}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        given = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"
        _run(programs / "pg_ctl", "-D", data, "-w", "-t", PATIENCE_S, "-l", folder / "log", "-o", given, "start")
        try:
            yield f"postgresql://shoal:{password}@127.0.0.1:{port}/postgres"
        finally:
            _run(programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: Path, *arguments: object) -> None:
    owner: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = {"user": pwd.getpwnam("postgres").pw_uid, "group": pwd.getpwnam("postgres").pw_gid, "extra_groups": []}
    # A pipe would be held open by the server that this starts.
    with tempfile.TemporaryFile("w+") as said:
        command = [str(program), *map(str, arguments)]
        done = subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, **owner
        )
        said.seek(0)
        assert done.returncode == 0, said.read()
