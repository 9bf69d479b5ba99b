"""`python -m bench.run [--short] [--phases PHASE...] [--output FILE]`: Shoal and its peers side by side, on this machine, in one run.

Every figure is operations per second of the *server's* processor time, as the system counts it. Set-ups take turns within
a round, so that a machine that slows down slows all of them down; compare the ratios. `README.md` says how to read them.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from bench import tables
from bench.certificates import Certificates, make
from bench.processes import LESHAN, PREFIX, ROOT, Clients, Report, Server, machine, start
from bench.restart import measure as restart
from bench.storm import storm
from shoal.lwm2m.dataplane import decompress
from tests.harness import peers
from tests.harness.broker import Broker
from tests.harness.postgres import Postgres, is_installed

# Operations under way. Leshan loses datagrams when it is more than it can take, so it is asked with each of these and
# its better figure counts; ours gets more from one commit the more wait for it.
WINDOWS: Final[dict[str, tuple[int, ...]]] = {"leshan": (64, 256)}
WINDOW: Final = 4_096
# A handshake is four flights: more at once only wait. Fewer than ours takes from the kernel in one call, which it takes for a crowd.
HANDSHAKE_WINDOW: Final = 48
# Clients that come at the same time, at the start.
JOINING_TOGETHER: Final = 128
PHASES: Final = ("coap", "observed", "dtls", "x509", "storm", "restart", "memory", "soak", "health")
# Those that ask the set-up `kafka`, too.
ON_KAFKA: Final = frozenset({"coap", "observed"})
# Long enough for a commit of everything and for memory to come to rest.
SETTLE_S: Final = 1.0
SAMPLE_EVERY_S: Final = 1.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    clients: int
    secure_clients: int
    certified_clients: int
    # Devices that report, those that come back at once meanwhile, and for how long.
    storm: tuple[int, int, float]
    # Devices with DTLS of a whole Shoal that is killed.
    restart: int
    seconds: float
    rounds: int
    warm_up_s: float
    memory: tuple[int, ...]
    soak_s: float
    health_events: int
    with_kafka: bool


FULL: Final = Plan(
    clients=10_000,
    secure_clients=5_000,
    certified_clients=1_000,
    storm=(1_000, 10_000, 10),
    restart=10_000,
    seconds=3,
    rounds=3,
    warm_up_s=10,
    memory=(1_000, 10_000, 50_000),
    soak_s=90,
    health_events=50_000,
    with_kafka=True,
)
SHORT: Final = Plan(
    clients=500,
    secure_clients=100,
    certified_clients=100,
    storm=(100, 1_000, 3),
    restart=50,
    seconds=0.5,
    rounds=1,
    warm_up_s=1,
    memory=(500,),
    soak_s=3,
    health_events=2_000,
    with_kafka=False,
)


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One order, carried out against one set-up. `cpu_s` is the server's."""

    phase: str
    setup: str
    operation: str
    round: int
    window: int | None = None
    rate: float | None = None
    operations: int
    errors: dict[str, int]
    repetitions: int
    cpu_s: float
    duration_s: float
    p50_ms: float
    p99_ms: float

    @property
    def per_cpu_s(self) -> float:
        return self.operations / self.cpu_s if self.cpu_s else 0.0

    @property
    def per_s(self) -> float:
        return self.operations / self.duration_s if self.duration_s else 0.0


class Site:
    """A set-up that runs, and its clients."""

    def __init__(self, server: Server, clients: Clients) -> None:
        self.server = server
        self.clients = clients
        self.name = server.name

    def measure(self, phase: str, operation: str, number: int, **how: float) -> Measure:
        before = self.server.cpu_s()
        report = self.clients.do(operation, **how)
        cpu_s = self.server.cpu_s() - before
        return Measure(
            phase=phase,
            setup=self.name,
            operation=operation,
            round=number,
            window=int(how["window"]) if "window" in how else None,
            rate=how.get("rate"),
            operations=report.operations,
            errors=report.errors,
            repetitions=report.repetitions,
            cpu_s=cpu_s,
            duration_s=report.duration_s,
            p50_ms=report.latency_us["p50"] / 1_000,
            p99_ms=report.latency_us["p99"] / 1_000,
        )


class Run:
    """Everything that is measured, phase by phase."""

    def __init__(self, plan: Plan, phases: Sequence[str], folder: Path, kafka: str | None) -> None:
        self._plan = plan
        self._phases = phases
        self._folder = folder
        self._kafka = kafka
        self.measures: list[Measure] = []
        self.storms: list[dict[str, Any]] = []
        self.restarts: list[dict[str, Any]] = []
        self.memory: list[dict[str, Any]] = []
        self.soak: list[dict[str, Any]] = []
        self.health: dict[str, Any] = {}

    def all(self) -> None:
        durable = ["embedded", *(["kafka"] if self._kafka else [])]
        everybody = ["leshan", "answer", "hands", *durable]
        phases = {
            "coap": lambda: self._rounds("coap", everybody, ("register", "update", "send"), self._plan.clients),
            "observed": lambda: self._rounds(
                "observed", ["leshan", "hands", *durable], ("notify",), self._plan.clients, observe=True
            ),
            "dtls": lambda: self._rounds(
                "dtls",
                ["leshan", "hands", "embedded"],
                ("handshake", "resume", "send"),
                self._plan.secure_clients,
                secure=True,
            ),
            "x509": self._shake_hands_with_certificates,
            "storm": self._storm_all,
            "restart": self._restart,
            "memory": self._weigh_all,
            "soak": self._soak_all,
            "health": self._judge,
        }
        for phase in self._phases:
            phases[phase]()

    # -- speed ----------------------------------------------------------------------------------------------------------

    def _rounds(
        self,
        phase: str,
        setups: Sequence[str],
        operations: Sequence[str],
        clients: int,
        *,
        secure: bool = False,
        observe: bool = False,
        certificates: Certificates | None = None,
    ) -> None:
        with ExitStack() as opened:
            how = {"secure": secure, "observe": observe}
            sites = [self._open(opened, setup, clients, certificates=certificates, **how) for setup in setups]
            for site in sites:
                self._warm_up(site, operations)
            for number in range(self._plan.rounds):
                for operation in operations:
                    for site in sites:
                        for window in _windows(site.name, operation):
                            self._note(
                                site.measure(phase, operation, number, window=window, seconds=self._plan.seconds)
                            )
            if "send" in operations:
                self._latencies(phase, [site for site in sites if site.name != "answer"])

    def _shake_hands_with_certificates(self) -> None:
        """Certificates on both sides, in full and going on from a session."""
        clients = self._plan.certified_clients
        made = make(self._folder / "certificates", PREFIX, clients)
        operations = ("handshake", "resume")
        self._rounds("x509", ["leshan", "hands"], operations, clients, secure=True, certificates=made)

    def _open(
        self,
        opened: ExitStack,
        setup: str,
        clients: int,
        *,
        secure: bool,
        observe: bool = False,
        certificates: Certificates | None = None,
    ) -> Site:
        how = {"secure": secure, "observe": observe}
        server = start(
            opened, setup, self._folder, clients=clients, kafka=self._kafka, certificates=certificates, **how
        )
        site = Site(server, opened.enter_context(Clients(server, clients)))
        # As devices do it: whoever has a session registers at once, so that few handshakes hold their buffers together.
        for first in range(0, clients, JOINING_TOGETHER):
            if secure:
                _must(site.clients.do("handshake", first=first, count=JOINING_TOGETHER), setup)
            _must(site.clients.do("register", first=first, count=JOINING_TOGETHER), setup)
        time.sleep(SETTLE_S)  # observations are asked for once the registration is answered
        return site

    def _warm_up(self, site: Site, operations: Iterable[str]) -> None:
        """A Java machine compiles what is used often; ours gets the same, for what caches are worth."""
        for operation in operations:
            seconds = self._plan.warm_up_s if site.name == "leshan" else min(1.0, self._plan.warm_up_s)
            site.clients.do(operation, seconds=seconds, window=_windows(site.name, operation)[0])

    def _latencies(self, phase: str, sites: Sequence[Site]) -> None:
        """Send at a fixed rate: half of what each can do, and half of what Leshan can."""
        tops = {site.name: self._top_rate(phase, site.name) for site in sites}
        for number in range(self._plan.rounds):
            for site in sites:
                for rate in sorted({tops[site.name] / 2, tops["leshan"] / 2}):
                    self._note(site.measure(f"{phase} latency", "send", number, rate=rate, seconds=self._plan.seconds))

    def _top_rate(self, phase: str, setup: str) -> float:
        found = [it for it in self.measures if (it.phase, it.setup, it.operation) == (phase, setup, "send")]
        by_window = {
            window: median(it.per_s for it in found if it.window == window) for window in {it.window for it in found}
        }
        return max(by_window.values())

    def _note(self, measure: Measure) -> None:
        self.measures.append(measure)
        say(
            f"{measure.phase:14} {measure.setup:9} {measure.operation:9} {measure.per_cpu_s:9.0f} /CPU-s {measure.per_s:9.0f} /s"
            f"  p50 {measure.p50_ms:7.2f}  p99 {measure.p99_ms:8.2f} ms  {measure.errors or ''}"
        )

    def _storm_all(self) -> None:
        reporting, returning, seconds = self._plan.storm
        for _ in range(self._plan.rounds):
            row = storm(self._folder, reporting=reporting, returning=returning, seconds=seconds)
            row["load_average"] = os.getloadavg()[0]
            self.storms.append(row)
            say(
                f"storm: {row['back']} back after {row['back_after_s']:.1f} s, {row['hellos_again']} hellos again;"
                f" p99 {row['calm_p99_ms']:.1f} before, {row['storm_p99_ms']:.1f} ms during it"
            )

    def _restart(self) -> None:
        folder = self._folder / "restart"
        folder.mkdir()
        row = {**asyncio.run(restart(self._plan.restart, folder)), "load_average": os.getloadavg()[0]}
        self.restarts.append(row)
        say(f"restart: {row['devices']:.0f} devices, accepting {row['accepting_s']:.1f} s after the kill")

    # -- memory ---------------------------------------------------------------------------------------------------------

    def _weigh_all(self) -> None:
        for secure in (False, True):
            for setup in ("leshan", "embedded"):
                self._weigh(setup, secure=secure)

    def _weigh(self, setup: str, *, secure: bool) -> None:
        """What a registered client costs that says nothing: against the same server with one client."""
        empty = self._used(setup, 1, secure=secure)
        for clients in self._plan.memory:
            used = self._used(setup, clients, secure=secure)
            each = (used["used"] - empty["used"]) / clients
            self.memory.append(
                {
                    "setup": setup,
                    "secure": secure,
                    "clients": clients,
                    "bytes_per_client": each,
                    "resident_bytes": used["resident"],
                }
            )
            say(f"memory {setup} {'dtls' if secure else 'coap'} {clients}: {each / 1024:.2f} KiB each")

    def _used(self, setup: str, clients: int, *, secure: bool) -> dict[str, int]:
        with ExitStack() as opened:
            site = self._open(opened, setup, clients, secure=secure)
            time.sleep(SETTLE_S)
            return {"used": site.server.used_bytes(), "resident": site.server.resident_bytes()}

    def _soak_all(self) -> None:
        for setup in ("leshan", "embedded"):
            self._soak(setup)

    def _soak(self, setup: str) -> None:
        """Full load for a while: does memory come to rest, and is everything stored that was acknowledged?"""
        with ExitStack() as opened:
            site = self._open(opened, setup, self._plan.clients, secure=False)
            resident = [site.server.resident_bytes()]
            site.clients.begin("send", window=_windows(setup, "send")[-1], seconds=self._plan.soak_s)
            until = time.monotonic() + self._plan.soak_s
            while time.monotonic() < until:
                time.sleep(SAMPLE_EVERY_S)
                resident.append(site.server.resident_bytes())
            report = site.clients.end()
            counters = site.server.counters()
        row = {
            "setup": setup,
            "seconds": self._plan.soak_s,
            "acknowledged": report.operations,
            "errors": report.errors,
            "repetitions": report.repetitions,
            "resident_bytes": resident,
            "send": counters.get("send"),
        }
        if setup == "embedded":
            # Events of other kinds are in there too: what must not be is fewer readings than were acknowledged.
            row["stored_readings"] = stored_readings(self._folder)
        self.soak.append(row)
        say(
            f"soak {setup}: {report.operations} in {self._plan.soak_s:.0f} s, {resident[0] >> 20} to {max(resident) >> 20} MiB"
        )

    # -- after the log --------------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        self.health = {"sqlite": self._judged("sqlite")}
        if is_installed():
            # As an operator would run it: what is committed is on disk.
            with Postgres("fsync=on") as server:
                self.health["postgresql"] = self._judged("postgresql", "--database", server.url)

    def _judged(self, name: str, *more: str) -> dict[str, float]:
        """Over a log that is filled beforehand, in a process of its own."""
        data = self._folder / f"health-{name}"
        data.mkdir()
        options = ["--data", str(data), "--devices", str(min(self._plan.clients, 5_000)), *more]
        command = [sys.executable, "-m", "bench.health_worker", *options, "--events", str(self._plan.health_events)]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}/src:{ROOT}"}
        done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
        said: dict[str, float] = json.loads(done.stdout)
        return said


def stored_readings(folder: Path) -> int:
    """Readings in the log that was written last."""
    newest = max(folder.glob("embedded-*/log.db"), key=lambda path: path.stat().st_mtime)
    count = 0
    with sqlite3.connect(newest) as connection:
        for (body,) in connection.execute("SELECT body FROM pages WHERE codec = 'zstd'"):
            count += decompress(body).count(b'"type":"readings"')
    return count


def _windows(setup: str, operation: str) -> tuple[int, ...]:
    return (HANDSHAKE_WINDOW,) if operation in {"handshake", "resume"} else WINDOWS.get(setup, (WINDOW,))


def _must(report: Report, setup: str) -> None:
    if report.errors:
        raise RuntimeError(f"{setup}: not every client could begin: {report.errors}")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a minute or two: whether it works, not how fast it is")
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=PHASES, help="what is measured (all of it)")
    parser.add_argument("--output", type=Path, help="where the figures go, as JSON")
    options = parser.parse_args()
    plan = SHORT if options.short else FULL
    peers.build(ROOT / "bench" / "leshan", LESHAN)
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as name, ExitStack() as opened:
        folder = Path(name)
        has_kafka = plan.with_kafka and not ON_KAFKA.isdisjoint(options.phases)
        kafka = opened.enter_context(Broker(folder / "kafka")).servers if has_kafka else None
        run = Run(plan, options.phases, folder, kafka)
        began = time.time()
        run.all()
    result = {
        "at": time.strftime("%Y-%m-%d %H:%M", time.gmtime(began)),
        "machine": machine(),
        "plan": msgspec.to_builtins(plan),
        "measures": msgspec.to_builtins(run.measures),
        "storm": run.storms,
        "restart": run.restarts,
        "memory": run.memory,
        "soak": run.soak,
        "health": run.health,
    }
    if options.output:
        options.output.write_text(tables.compact(result))
    print(tables.markdown(result))


if __name__ == "__main__":
    main()
