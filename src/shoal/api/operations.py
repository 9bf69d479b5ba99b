"""What operators and their tools ask of a process: is it alive, is it ready, how is it doing. No token, no secrets."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from shoal.errors import Unavailable
from shoal.metrics import REGISTRY

log = logging.getLogger(__name__)

# A neighbour that does not answer in this time is away, as far as a balancer is concerned.
PROBE_TIMEOUT_S: Final = 2.0

Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One family of numbers. `samples` are pairs of labels and value; all have the same labels.

    Without samples only its name is shown, so that who asks for it sees that it is there.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Sequence[tuple[Mapping[str, str], float]]


# Nothing when the neighbour is there, else what is wrong with it in a few words. May raise Unavailable as well.
Probe: TypeAlias = Callable[[], Awaitable[str | None]]
Meter: TypeAlias = Callable[[], Awaitable[Iterable[Metric]]]


def create_router(*, neighbours: Mapping[str, Probe], meters: Sequence[Meter]) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics`.

    Args:
        neighbours: by name, what this process cannot work without: database, log, gateway.
        meters: where the numbers come from that are looked up when they are asked for (`measures.py`); those that rooms
            keep as they work (`shoal.metrics`) are added.
    """
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> PlainTextResponse:
        """Alive: the event loop turns. Who does not answer this is to be started anew."""
        return PlainTextResponse("ok\n")

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        """Ready for work: 200, or 503 with what is away. Nothing is lost meanwhile; work waits."""
        said = await _all_asked(neighbours)
        away = {name: reason for name, reason in said.items() if reason is not None}
        body = {"ready": not away, "away": away, "there": [name for name in said if name not in away]}
        return JSONResponse(body, status_code=503 if away else 200)

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """All numbers, in the format of Prometheus. A source that fails leaves its own out."""
        said = await _all_asked(neighbours)
        found = await asyncio.gather(*(_measured(meter) for meter in meters))
        there = [({"neighbour": name}, float(reason is None)) for name, reason in said.items()]
        up = Metric(name="shoal_neighbour_up", kind="gauge", help="1 while it is there, else 0.", samples=there)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Found([_family(metric) for family in ([up], *found) for metric in family]))
        text = generate_latest(registry) + generate_latest(REGISTRY)
        return PlainTextResponse(text, media_type=CONTENT_TYPE_LATEST)

    return router


async def _all_asked(neighbours: Mapping[str, Probe]) -> dict[str, str | None]:
    """By name: nothing, or what is wrong."""
    names = list(neighbours)
    said = await asyncio.gather(*(_asked(neighbours[name]) for name in names))
    return dict(zip(names, said, strict=True))


async def _asked(probe: Probe) -> str | None:
    # Not awaited to its end: a driver may take long to give up on a neighbour that hangs.
    asking = asyncio.ensure_future(probe())
    done, _ = await asyncio.wait([asking], timeout=PROBE_TIMEOUT_S)
    if not done:
        asking.cancel()
        return f"no answer within {PROBE_TIMEOUT_S:.0f} s"
    try:
        return asking.result()
    except Unavailable as error:
        return error.reason


async def _measured(meter: Meter) -> Iterable[Metric]:
    asking = asyncio.ensure_future(meter())
    done, _ = await asyncio.wait([asking], timeout=PROBE_TIMEOUT_S)
    try:
        if done:
            return asking.result()
        asking.cancel()
        reason = f"no answer within {PROBE_TIMEOUT_S:.0f} s"
    except Unavailable as error:
        reason = str(error)
    log.info("metrics.left_out", extra={"reason": reason})
    return ()


class _Found(Collector):
    """Numbers that are there already: Prometheus' own registry only knows how to ask at once."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _family(metric: Metric) -> Family:
    labels = list(metric.samples[0][0]) if metric.samples else []
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family: Family = kind(metric.name, metric.help, labels=labels)
    for said, value in metric.samples:
        family.add_metric([said[label] for label in labels], value)
    return family
