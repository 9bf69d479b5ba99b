"""What one decision of access costs with a thousand policies: `python -m bench.decision`, microseconds each.

Three questions, each of whom most policies name: one that is allowed by a role, one that is denied on a path, and one
that nothing allows. Beside them the same with no policy but those that come with Shoal, and the reach that narrows a list.
"""

import timeit
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Final

from shoal.access.decision import Place, Policies, Subject
from shoal.access.pattern import Pattern
from shoal.access.policy import EVERYBODY, Effect, Operation, Policy, Role, Who, WhoKind
from shoal.ids import DeviceId, EnclosureId, FarmId, TenantId
from shoal.lwm2m.path import Path

TENANT: Final = TenantId("ten-1")
HERE: Final = Place(tenant=TENANT, farm=FarmId("frm-1"), enclosure=EnclosureId("enc-1"), device=DeviceId("dev-1"))
KARI: Final = Subject(tenant=TENANT, role=Role.TECHNICIAN, id="usr-1", name="Kari", places=frozenset({"frm-1"}))
POLICIES: Final = 1_000
DECISIONS: Final = 20_000


def policies(count: int) -> list[Policy]:
    """Sentences of which most name everybody, or technicians, at the very place that is asked about."""
    whos = (EVERYBODY, Who(WhoKind.ROLE, "technician"), Who(WhoKind.USER, "usr-1"), Who(WhoKind.USER, "usr-2"))
    places = (TENANT, "frm-1", "enc-1", "dev-1", "frm-2")
    return [
        Policy(
            id=f"pol-{number}",
            effect=Effect.DENY if number % 3 == 0 else Effect.ALLOW,
            who=whos[number % len(whos)],
            operations=frozenset({Operation.WRITE, Operation.EXECUTE}),
            place=places[number % len(places)],
            paths=(Pattern((10_000 + number,)),),
        )
        for number in range(count)
    ]


def main() -> None:
    """Prints a table."""
    questions = {
        "allowed by the role": (Operation.READ, Path(3303, 0, 5700)),
        "denied on a path": (Operation.WRITE, Path(10_000, 0, 1)),
        "allowed by nothing": (Operation.DELETE, Path(3303, 0)),
    }
    print(f"| question | {POLICIES:,} policies | none of one's own |\n| --- | --- | --- |")
    many, none = Policies(TENANT, policies(POLICIES)), Policies(TENANT)
    for name, (operation, path) in questions.items():
        figures = [_microseconds(partial(held.decide, KARI, operation, HERE, path)) for held in (many, none)]
        print(f"| {name} | {figures[0]:.1f} us | {figures[1]:.1f} us |")
    figures = [_microseconds(partial(held.reach, KARI, Operation.READ)) for held in (many, none)]
    print(f"| reach of a list | {figures[0]:.1f} us | {figures[1]:.1f} us |")


def _microseconds(work: Callable[[], object]) -> float:
    return min(timeit.repeat(work, process_time, number=DECISIONS // 5, repeat=5)) / (DECISIONS // 5) * 1e6


if __name__ == "__main__":
    main()
