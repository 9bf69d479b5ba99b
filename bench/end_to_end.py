"""From a datagram to a condition: every role a process of its own, PostgreSQL and Kafka over TLS, on this machine.

`python -m bench.end_to_end [--rates 1000 2500 5000] [--seconds 30] [--all]`: devices report at a fixed rate, each reading
goes from the gateway through Kafka to the health workers and into PostgreSQL; with `--all` the other roles run meanwhile,
which keep readings and the inventory. Prints for each rate what every process took of the processor, and how far behind
its readers were at the end. `README.md` says how to read it.
"""

import argparse
import asyncio
import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.processes import Clients, Peer, cpu_s_of
from bench.tables import table
from tests.harness.cluster import ROLES, Cluster

CLIENTS: Final = 2_000
# So many registrations under way: each makes a device in the inventory.
JOINING_TOGETHER: Final = 64
# Readers that are further behind than this after the last reading do not keep up.
CATCH_UP_S_MAX: Final = 300.0
_HANDLED: Final = re.compile(r'shoal_worker_handled_seconds_(count|sum)\{group="(\w+)"\} ([0-9.e+]+)')


class Site:
    """A cluster that devices report to."""

    def __init__(self, cluster: Cluster, clients: Clients) -> None:
        self._cluster = cluster
        self._clients = clients

    def processes(self) -> dict[str, list[int]]:
        """The processes of each role, the neighbours' too; of PostgreSQL those that serve now."""
        found: dict[str, list[int]] = {}
        for name, process in self._cluster.processes.items():
            found.setdefault(name.partition("-")[0], []).append(process.pid)
        found["kafka"] = [self._cluster.broker.pid]
        found["postgresql"] = _family(self._cluster.postgres.pid)
        found["load"] = [self._clients.pid]
        return found

    async def handled(self) -> dict[str, tuple[int, float]]:
        """Batches of every group of readers so far, and the sum of the ages of their oldest records."""
        total: dict[str, tuple[int, float]] = {}
        for name in self._cluster.processes:
            sums = {(group, kind): float(value) for kind, group, value in _HANDLED.findall(await self._numbers(name))}
            for group in {group for group, _ in sums}:
                count, age = total.get(group, (0, 0.0))
                total[group] = (count + int(sums[group, "count"]), age + sums[group, "sum"])
        return total

    async def caught_up(self, groups: Sequence[str]) -> dict[str, float]:
        """How long each group goes on after the last reading: until a second brings it no older record."""
        began, behind, before = time.monotonic(), dict.fromkeys(groups, 0.0), await self.handled()
        waiting = set(groups)
        while waiting and time.monotonic() - began < CATCH_UP_S_MAX:
            await asyncio.sleep(1.0)
            now = await self.handled()
            for group in list(waiting):
                count = now[group][0] - before[group][0]
                age = (now[group][1] - before[group][1]) / count if count else 0.0
                if age < 2.0:
                    waiting.discard(group)
                else:
                    behind[group] = time.monotonic() - began
            before = now
        return behind

    async def measure(self, rate: int, seconds: float, groups: Sequence[str]) -> dict[str, Any]:
        before, cpu = self.processes(), {}
        cpu = {name: sum(map(cpu_s_of, pids)) for name, pids in before.items()}
        began = time.monotonic()
        report = await asyncio.to_thread(self._clients.do, "send", rate=rate, seconds=seconds)
        behind = await self.caught_up(groups)
        took = time.monotonic() - began
        after = self.processes()
        used = {name: sum(map(cpu_s_of, pids)) - cpu[name] for name, pids in after.items()}
        return {
            "rate": rate,
            "acknowledged": report.operations,
            "errors": report.errors,
            "p99_ms": report.latency_us["p99"] / 1_000,
            "took_s": took,
            "behind_s": behind,
            "cpu_ms_per_event": {name: 1_000 * value / max(report.operations, 1) for name, value in used.items()},
        }

    async def _numbers(self, name: str) -> str:
        return await self._cluster.numbers(name) if name in self._cluster.ops else ""


def _family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(rows[0]["cpu_ms_per_event"])
    header = (
        "a second",
        "acknowledged",
        "p99 ms",
        "behind after the last",
        *(f"{name}, ms an event" for name in names),
    )
    lines = [
        [
            f"{row['rate']:,}",
            f"{row['acknowledged']:,}",
            f"{row['p99_ms']:.0f}",
            ", ".join(f"{group} {value:.0f} s" for group, value in row["behind_s"].items()),
            *(f"{row['cpu_ms_per_event'][name]:.3f}" for name in names),
        ]
        for row in rows
    ]
    return table(header, lines)


async def run(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    # As an operator would run it: what is committed is on disk.
    cluster = Cluster(folder, health_processes=options.health, database_options=["fsync=on"])
    cluster.settings["SHOAL_OPEN_ENROLMENT"] = "Bench"
    try:
        await cluster.start()
        with Clients(Peer(cluster.coap), CLIENTS) as clients:
            site = Site(cluster, clients)
            await asyncio.to_thread(clients.do, "register", window=JOINING_TOGETHER)
            groups = ["health", "history", "inventory"]
            await site.caught_up(groups)
            if not options.all:
                groups = ["health"]
                await cluster.stop_roles(name for name in ROLES if name not in ("gateway", "health"))
            return [await site.measure(rate, options.seconds, groups) for rate in options.rates]
    finally:
        await cluster.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", nargs="+", type=int, default=[1_000, 2_500, 5_000])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--health", type=int, default=2, help="processes of the health role")
    parser.add_argument("--all", action="store_true", help="all roles, not only those from datagram to condition")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="shoal-end-to-end-") as name:
        print(markdown(asyncio.run(run(options, Path(name)))))


if __name__ == "__main__":
    main()
