"""Thousands of devices come back at once: do those that are in notice, and how long until all are?"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from bench.processes import Clients, Server, start

# Devices that join at the same time, before anything is measured.
JOINING_TOGETHER: Final = 128
# What the gateway counted of hellos that had to come again.
WAITED: Final = ("handshakes_waiting", "handshakes_waiting_network", "half_open_full", "half_open_full_network")


def storm(folder: Path, *, reporting: int, returning: int, seconds: float) -> dict[str, Any]:
    """One row: the latencies of reports, one a second of each device, without a storm and during one, in the same run."""
    with ExitStack() as opened:
        server = start(opened, "embedded", folder, clients=reporting + returning, secure=True)
        calm_ones = opened.enter_context(Clients(server, reporting))
        # Numbered behind the others: names and addresses are made from the numbers.
        crowd = opened.enter_context(Clients(server, reporting + returning))
        for first in range(0, reporting, JOINING_TOGETHER):
            for operation in ("handshake", "register"):
                joined = calm_ones.do(operation, first=first, count=JOINING_TOGETHER)
                if joined.errors:
                    raise RuntimeError(f"not every device could begin: {joined.errors}")
        calm = calm_ones.do("send", rate=reporting, seconds=seconds)
        before, cpu_s = _waited(server), server.cpu_s()
        calm_ones.begin("send", rate=reporting, seconds=seconds)
        back = crowd.do("handshake", first=reporting, window=returning)
        cpu_s = server.cpu_s() - cpu_s
        busy = calm_ones.end()
        return {
            "reporting": reporting,
            "returning": returning,
            "calm_p50_ms": calm.latency_us["p50"] / 1_000,
            "calm_p99_ms": calm.latency_us["p99"] / 1_000,
            "storm_p50_ms": busy.latency_us["p50"] / 1_000,
            "storm_p99_ms": busy.latency_us["p99"] / 1_000,
            "reports": busy.operations,
            "report_errors": busy.errors,
            "back": back.operations,
            "back_errors": back.errors,
            "back_after_s": back.duration_s,
            "hellos_again": _waited(server) - before,
            "cpu_s": cpu_s,
        }


def _waited(server: Server) -> int:
    counted = server.counters()
    return sum(counted[name] for name in WAITED)
