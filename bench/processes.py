"""The processes of a run: servers, ours and others, and the clients that ask them; what the system says about each."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from bench.certificates import Certificates

ROOT: Final = Path(__file__).resolve().parents[1]
BINARIES: Final = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / ".build" / "cargo")) / "release"
LESHAN: Final = ROOT / ".build" / "bench-leshan"
# Leshan keeps 16 messages of every peer, a kilobyte each; with less than this the collector is what we would measure.
LESHAN_HEAP: Final = "3g"
PREFIX: Final = "bench-"
KEY: Final = "000102030405060708090a0b0c0d0e0f"
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Report(msgspec.Struct, frozen=True):
    """What the load generator counted. Only operations with the right answer are `operations`."""

    operations: int
    errors: dict[str, int]
    repetitions: int
    strays: int
    unsent: int
    duration_s: float
    latency_us: dict[str, float]


class _Process:
    """A child that is told what to do by lines, and says what came of it by lines."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
        self.pid: Final = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        return line.strip()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


class Peer(msgspec.Struct, frozen=True):
    """Somebody to ask, at an address."""

    uri: str
    certificates: Certificates | None = None


def cpu_s_of(pid: int) -> float:
    """Seconds of processor time of a process, all its threads, those that ended too; none when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


class Server(_Process):
    """A server that listens. `name` is the set-up; with `certificates` nobody has a key."""

    def __init__(
        self,
        name: str,
        uri: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        super().__init__(command, environment)
        self.name: Final = name
        self.uri: Final = uri
        self.certificates: Final = certificates
        while not self._line().startswith("ready"):
            pass

    def cpu_s(self) -> float:
        return cpu_s_of(self.pid)

    def resident_bytes(self) -> int:
        """Physical memory that it occupies."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_BYTES

    def used_bytes(self) -> int:
        """Memory in use: of a Java machine what is left after a collection, of all others what is resident."""
        if self.name != "leshan":
            return self.resident_bytes()
        self._tell("memory")
        return int(self._line())

    def counters(self) -> dict[str, int]:
        """What our core counted; of others nothing."""
        if self.name in {"leshan", "answer"}:
            return {}
        self._tell("counters")
        counted: dict[str, int] = json.loads(self._line())
        return counted


class Clients(_Process):
    """The load generator, with all its clients."""

    def __init__(self, server: Server | Peer, count: int) -> None:
        command = [str(BINARIES / "load"), server.uri, "--clients", str(count), "--prefix", PREFIX]
        if server.certificates is not None:
            command += ["--certificates", str(server.certificates.clients)]
        elif server.uri.startswith("coaps"):
            command += ["--key", KEY]
        super().__init__(command)

    def do(self, operation: str, **how: float) -> Report:
        """Carries out an order, to the last answer."""
        self.begin(operation, **how)
        return self.end()

    def begin(self, operation: str, **how: float) -> None:
        """Begins an order that goes on by itself."""
        self._tell(json.dumps({"do": operation, **how}))

    def end(self) -> Report:
        """Waits for the end of the order."""
        return msgspec.json.decode(self._line(), type=Report)


def start(
    opened: ExitStack,
    setup: str,
    folder: Path,
    *,
    clients: int,
    secure: bool = False,
    observe: bool = False,
    kafka: str | None = None,
    certificates: Certificates | None = None,
) -> Server:
    """Starts a server: `leshan`, `answer`, or one of ours (`hands`, `embedded`, `kafka`). Secure ones know all clients by
    one key, or by their certificates."""
    port = _free_port()
    scheme = "coaps" if secure else "coap"
    uri = f"{scheme}://127.0.0.1:{port}"
    match setup:
        case "leshan":
            jars = f"{LESHAN}/jars/*"
            java = ["java", f"-Xmx{LESHAN_HEAP}", "-cp", jars, "shoal.bench.LeshanServerMain"]
            command = [*java, str(port), scheme, str(observe).lower(), PREFIX, str(clients)]
            command += [KEY] if certificates is None else [str(certificates.folder)]
        case "answer":
            command = [str(BINARIES / "answer"), f"127.0.0.1:{port}"]
        case _:
            data = folder / f"{setup}-{port}"
            data.mkdir()
            ours = [sys.executable, "-m", "bench.shoal_server", setup, "--listen", uri, "--data", str(data)]
            command = [*ours, "--devices", str(clients), "--prefix", PREFIX]
            if certificates is not None:
                command += ["--certificates", str(certificates.folder)]
            elif secure:
                command += ["--key", KEY]
            command += ["--observe"] if observe else []
            command += ["--kafka", kafka] if kafka else []
    environment = {"PYTHONPATH": f"{ROOT}/src:{ROOT}"}
    return opened.enter_context(Server(setup, uri, command, environment, certificates))


def machine() -> dict[str, Any]:
    """What a reader has to know of the machine."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else "",
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES,
        "kernel": os.uname().release,
        "python": sys.version.split()[0],
        "load_average": os.getloadavg()[0],
    }


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
