"""Third-party clients as child processes."""

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.harness.authority import Certificate

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ROOT / "tests" / "interop" / "leshan"
BUILT: Final = ROOT / ".build" / "leshan"
# A JVM on a busy two-core machine, a DTLS handshake and a registration.
PATIENCE_S: Final = 60

# Who Leshan's client is where a test needs no more than one, and how it proves that.
NAME: Final = "leshan-1"
KEY: Final = bytes(range(16))
SECURE: Final[dict[str, Any]] = {"identity": NAME, "key_hex": KEY.hex()}


def build_leshan() -> Path:
    """Compiles the headless Leshan client once; returns the folder with all its jars."""
    return build(SOURCES, BUILT)


def build(sources: Path, built: Path) -> Path:
    """Compiles a project of ours against Leshan's libraries, unless it is compiled; returns the folder with all jars."""
    files = [path for path in sorted(sources.rglob("*.*")) if path.is_file()]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files))
    done = built / "made-from"
    if done.exists() and done.read_text() == digest.hexdigest():
        return built / "jars"
    # Jars of an older version would stand on the class path beside the new ones.
    shutil.rmtree(built, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", str(sources / "pom.xml"), f"-DbuildDirectory={built}/maven", "package"]
    copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={built}/jars"]
    result = subprocess.run([*command, *copy], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{sources} could not be built (Maven and Java 17 are needed):\n{result.stdout[-4000:]}")
    for jar in (built / "maven").glob("leshan-*.jar"):
        jar.replace(built / "jars" / jar.name)
    done.write_text(digest.hexdigest())
    return built / "jars"


class LeshanPeer:
    """A running Leshan client: lines in, lines out."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said: list[str] = []

    async def says(self, *beginnings: str) -> str:
        """Waits until the client says a line that begins like one of these; returns the line."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while True:
                line = (await self._process.stdout.readline()).decode().strip()
                if not line and self._process.stdout.at_eof():
                    raise AssertionError(f"the client ended before it said {beginnings}; it said {self.said}")
                self.said.append(line)
                if line.startswith(beginnings):
                    return line

    async def tell(self, line: str) -> None:
        """Gives the client an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def become(self, **changes: object) -> None:
        """Lets the client begin anew with other settings, by Leshan's side's names, beside those it was started with. The
        one it was leaves without a word."""
        self.said.clear()
        await self.tell(" ".join(["become", *(f"{name}={value}" for name, value in changes.items())]))

    async def stop(self) -> None:
        """Lets the client de-register and end; ends it when it does not."""
        if self._process.returncode is not None:
            return
        try:
            async with asyncio.timeout(10):
                await self.tell("stop")
                await self._process.wait()
        except (TimeoutError, ConnectionError):
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def leshan(
    uri: str,
    endpoint: str,
    *,
    lifetime_s: int = 60,
    identity: str | None = None,
    key_hex: str | None = None,
    certificate: Certificate | None = None,
    server: Path | None = None,
    connection_id_length: int | None = 6,
    formats: Sequence[str] = (),
    queue_mode: bool = False,
    version: str = "1.1",
    bootstraps: bool = False,
    shared: bool = False,
    **queries: str,
) -> AsyncIterator[LeshanPeer]:
    """A Leshan client that connects to `uri`. It proves itself with a key, or with a certificate and then wants the
    certificate in the file `server` to be shown. With `formats` it speaks only these content formats, by Leshan's names;
    `version` is the LwM2M version it registers as, 1.0 or 1.1; with `bootstraps` the server is a bootstrap server. With
    `shared` it knows us as server 123, and has a server 124 as well."""
    jars = await asyncio.to_thread(build_leshan)
    settings = {
        "uri": uri,
        "endpoint": endpoint,
        "lifetime": lifetime_s,
        "identity": identity,
        "key": key_hex if certificate is None else certificate.key,
        "certificate": None if certificate is None else certificate.cert,
        "server": server,
        "cid": connection_id_length,
        "formats": ",".join(formats) or None,
        "queue": str(queue_mode).lower(),
        "version": version,
        "bootstrap": str(bootstraps).lower(),
        "shared": str(shared).lower(),
        **{f"query.{name}": value for name, value in queries.items()},
    }
    process = await asyncio.create_subprocess_exec(
        "java",
        "-Xmx128m",
        # Quick to start: it lives for seconds.
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
        f"{jars}/*",
        "shoal.interop.LeshanPeer",
        *(f"{name}={value}" for name, value in settings.items() if value is not None),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=BUILT,
    )
    peer = LeshanPeer(process)
    try:
        yield peer
    finally:
        await peer.stop()


if __name__ == "__main__":
    build_leshan()
