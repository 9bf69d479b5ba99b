"""A real PostgreSQL for tests: a cluster of its own in a folder, on loopback, with a password.

`python -m tests.harness.postgres COMMAND ...` runs a command with `SHOAL_TEST_POSTGRES` set to such a server.

Needs the programs of Debian's package `postgresql`. As root the server runs as the user `postgres`, because it refuses to
run as root; its data then lie below /var/tmp, where that user may write. Only the server started here is ever ended.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, Self

from tests.harness.authority import Authority
from tests.harness.product import free_port

INSTALL: Final = "apt-get install postgresql"
# Tests lose nothing that matters when the machine dies.
_FAST: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


class Postgres:
    """`with Postgres() as server: ... server.url`.

    `options` are settings of the server, by default those that make it quick. With an authority it speaks TLS as well.
    """

    def __init__(self, *options: str, authority: Authority | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="shoal-pg-", dir="/var/tmp"))
        self._data = self._folder / "data"
        self._options = options or _FAST
        self._certificate = None if authority is None else authority.certificate("postgres")
        self.password = secrets.token_hex(12)
        self.port = free_port()
        checked = "" if authority is None else f"?sslmode=verify-full&sslrootcert={authority.ca}"
        self.url = f"postgresql://shoal:{self.password}@127.0.0.1:{self.port}/postgres{checked}"

    def __enter__(self) -> Self:
        try:
            self._create()
            self.start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The process that runs, and whose children serve."""
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

    def start(self) -> None:
        """Starts it, on its old data when it ran before, and waits until it answers."""
        options = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self._folder}"]
        if self._certificate is not None:
            for source, name in ((self._certificate.cert, "server.crt"), (self._certificate.key, "server.key")):
                shutil.copy(source, self._data / name)
                (self._data / name).chmod(0o600)
                self._own(self._data / name)
            options.append("ssl=on")
        given = " ".join(f"-c {option}" for option in (*options, *self._options))
        self._run("pg_ctl", "-D", self._data, "-l", self._folder / "server.log", "-w", "-t", "90", "-o", given, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Ends it, as a crash does by default."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop")

    def _create(self) -> None:
        self._own(self._folder)
        password = self._folder / "password"
        password.write_text(self.password)
        self._own(password)
        self._run(
            "initdb", "-D", self._data, "-U", "shoal", "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8",
            "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip
        password.unlink()

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(path, "postgres", "postgres")

    def _run(self, name: str, *arguments: object) -> None:
        as_whom: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            as_whom = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        # A pipe would be held open by the server.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [program(name), *map(str, arguments)],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                check=False,
                **as_whom,
            )
            output.seek(0)
            if done.returncode != 0:
                raise RuntimeError(f"{name}: {output.read()}")


def program(name: str) -> str:
    """A program of the newest PostgreSQL that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if found:
        return str(found[-1])
    known = shutil.which(name)
    if known is None:
        raise RuntimeError(f"{name} is not installed: {INSTALL}")
    return known


def is_installed() -> bool:
    """Whether the programs of a server are there."""
    return any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def main() -> int:
    with Postgres() as server:
        environment = os.environ | {"SHOAL_TEST_POSTGRES": server.url}
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
