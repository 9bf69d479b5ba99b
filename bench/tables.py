"""Figures for people: Markdown tables of a run, and the run itself as JSON that is no longer than it has to be."""

import json
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

Measures = Sequence[Mapping[str, Any]]

PEER = "leshan"


def markdown(result: Mapping[str, Any]) -> str:
    """All tables of a run that have anything in them."""
    parts = [
        _speed(result["measures"]),
        _latency(result["measures"]),
        _storm(result["storm"]),
        _restart(result["restart"]),
        _memory(result["memory"]),
        _soak(result["soak"]),
        _health(result["health"]),
    ]
    return "\n\n".join(part for part in parts if part)


def compact(result: Mapping[str, Any]) -> str:
    """JSON, a measure a line."""
    lines = []
    for name, value in result.items():
        if isinstance(value, list):
            items = ",\n".join(json.dumps(_rounded(item)) for item in value)
            lines.append(f"{json.dumps(name)}: [\n{items}\n]")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(_rounded(value))}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def by_round(measures: Measures, phase: str, operation: str, setup: str) -> list[float]:
    """Operations per second of the server's processor time, round by round; the better of several windows."""
    best: dict[int, float] = {}
    for it in measures:
        if (it["phase"], it["operation"], it["setup"]) == (phase, operation, setup) and it["cpu_s"]:
            best[it["round"]] = max(best.get(it["round"], 0.0), it["operations"] / it["cpu_s"])
    return [best[number] for number in sorted(best)]


def _speed(measures: Measures) -> str:
    rows = []
    for phase, operation in _unique((it["phase"], it["operation"]) for it in measures if it["rate"] is None):
        peer = by_round(measures, phase, operation, PEER)
        for setup in _unique(it["setup"] for it in measures if (it["phase"], it["operation"]) == (phase, operation)):
            found = by_round(measures, phase, operation, setup)
            # A peer that answered nothing in a round is no measure.
            ratios = [ours / theirs for ours, theirs in zip(found, peer, strict=False) if theirs]
            same = [it for it in measures if (it["phase"], it["operation"], it["setup"]) == (phase, operation, setup)]
            rows.append(
                [
                    f"{operation}, {phase}",
                    setup,
                    _spread(found, "{:,.0f}"),
                    f"{median(it['operations'] / it['duration_s'] for it in same if it['duration_s']):,.0f}",
                    "1" if setup == PEER else _spread(ratios, "{:.1f}"),
                    _errors(same),
                ]
            )
    return table(("operation", "set-up", "per CPU-second of the server", "per second", "x Leshan", "errors"), rows)


def _latency(measures: Measures) -> str:
    rows = []
    fixed = [it for it in measures if it["rate"] is not None]
    for phase, setup, rate in _unique((it["phase"], it["setup"], it["rate"]) for it in fixed):
        same = [it for it in fixed if (it["phase"], it["setup"], it["rate"]) == (phase, setup, rate)]
        percentiles = [_spread([it[name] for it in same], "{:.2f}") for name in ("p50_ms", "p99_ms")]
        rows.append([phase, setup, f"{rate:,.0f}", *percentiles, _errors(same)])
    return table(("phase", "set-up", "Send a second", "p50 ms", "p99 ms", "errors"), rows)


def _storm(storms: Measures) -> str:
    rows = [
        [
            f"{it['reporting']:,} report, {it['returning']:,} come back",
            f"{it['calm_p50_ms']:.1f} / {it['calm_p99_ms']:.1f}",
            f"{it['storm_p50_ms']:.1f} / {it['storm_p99_ms']:.1f}",
            f"{it['back']:,} after {it['back_after_s']:.1f} s",
            f"{it['hellos_again']:,}",
            str({**it["report_errors"], **it["back_errors"]} or "none"),
            f"{it['load_average']:.1f}",
        ]
        for it in storms
    ]
    header = ("storm", "p50 / p99 ms before", "during it", "back", "hellos again", "errors", "load average")
    return table(header, rows)


def _restart(restarts: Measures) -> str:
    rows = [
        [
            f"{it['devices']:,.0f}",
            f"{it['accepting_s']:.1f}",
            f"{it['restoring_s']:.1f}",
            f"{it['ready_s']:.1f}, without any {it['empty_ready_s']:.1f}",
            f"{it['ready_cpu_s']:.1f}, without any {it['empty_ready_cpu_s']:.1f}",
            f"{it['all_heard_s']:.1f}, before the kill {it['sending_before_s']:.1f}",
            f"{it['restored']:,.0f}, {it['handshakes']:,.0f}, {it['register']:,.0f}, {it['sent_again']:,.0f}",
            f"{it['load_average']:.1f}",
        ]
        for it in restarts
    ]
    header = (
        "kill -9 with so many devices",
        "s until it accepts",
        "of these taking up",
        "s until all is ready",
        "of the processor for that",
        "s until each was heard",
        "taken up, handshakes, registrations, sent again",
        "load average",
    )
    return table(header, rows)


def _memory(memory: Measures) -> str:
    rows = [
        [
            "DTLS" if it["secure"] else "CoAP",
            it["setup"],
            f"{it['clients']:,}",
            f"{it['bytes_per_client'] / 1024:.2f}",
            f"{it['resident_bytes'] / 2**20:.0f}",
        ]
        for it in memory
    ]
    return table(("", "set-up", "clients", "KiB a client", "resident MiB"), rows)


def _soak(soak: Measures) -> str:
    rows = []
    for it in soak:
        resident = [value / 2**20 for value in it["resident_bytes"]]
        third = resident[len(resident) // 3]
        stored = it.get("stored_readings")
        rows.append(
            [
                it["setup"],
                f"{it['seconds']:.0f}",
                f"{it['acknowledged']:,}",
                "-" if stored is None else f"{stored:,}",
                f"{resident[0]:.0f} / {third:.0f} / {resident[-1]:.0f}",
                json.dumps(it["errors"]) if it["errors"] else "none",
            ]
        )
    header = ("set-up", "s", "acknowledged", "stored", "resident MiB: before / after a third / at the end", "errors")
    return table(header, rows)


def _health(health: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [name, f"{it['events']:,}", f"{it['events'] / it['duration_s']:,.0f}", f"{it['events'] / it['cpu_s']:,.0f}"]
        for name, it in health.items()
    ]
    return table(("health worker on", "events", "per second", "per CPU-second"), rows)


def _errors(measures: Measures) -> str:
    counted: dict[str, int] = {}
    for it in measures:
        for kind, count in it["errors"].items():
            counted[kind] = counted.get(kind, 0) + count
    repetitions = sum(it["repetitions"] for it in measures)
    parts = [f"{count} {kind}" for kind, count in counted.items()] + [f"{repetitions} repeated"] * bool(repetitions)
    return ", ".join(parts) or "none"


def _spread(values: Sequence[float], style: str) -> str:
    if not values:
        return "-"
    middle, least, most = (style.format(value) for value in (median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle} [{least}..{most}]"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Nothing when there are no rows."""
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _unique(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, 4)
        case dict():
            return {name: _rounded(item) for name, item in value.items()}
        case list():
            return [_rounded(item) for item in value]
    return value
