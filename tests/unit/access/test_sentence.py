"""A policy reads as a sentence."""

import pytest

from shoal.access.pattern import ALL, ITSELF, Pattern
from shoal.access.policy import EVERYBODY, OTHER_SERVERS, Effect, Operation, Policy, Role, Who, WhoKind
from shoal.access.sentence import sentence_of

NAMES = {"usr-1": "Kari", "frm-1": "Storholmen"}


@pytest.mark.parametrize(
    ("effect", "who", "operations", "place", "paths", "says"),
    [
        (
            Effect.ALLOW,
            Who(WhoKind.ROLE, "technician"),
            {Operation.READ, Operation.WRITE, Operation.ACKNOWLEDGE},
            "frm-1",
            ("/3/*", "/3303/*"),
            "Technicians may read, write and acknowledge and resolve /3/* and /3303/* at Storholmen",
        ),
        (Effect.DENY, Who(WhoKind.USER, "usr-1"), {Operation.EXECUTE, Operation.DELETE}, "", ("*",), "Kari may not execute or delete everywhere"),
        (Effect.ALLOW, EVERYBODY, {Operation.UPDATE_FIRMWARE}, "ten-1", ("*",), "Everybody may update everywhere"),
        (Effect.DENY, Who(WhoKind.DEVICES, "camera"), {Operation.WRITE}, "frm-1", ("/3303/*",), "All cameras may not report /3303/* at Storholmen"),
        (Effect.ALLOW, Who(WhoKind.USER, "usr-9"), {Operation.CREATE}, "frm-9", ("/",), "usr-9 may create devices themselves at frm-9"),
        (Effect.ALLOW, Who(WhoKind.SERVER, "102"), {Operation.READ}, "", ("/3/0/*",), "Server 102 may read /3/0/* everywhere"),
        (Effect.DENY, OTHER_SERVERS, {Operation.WRITE}, "frm-1", ("*",), "All other servers of a device may not write at Storholmen"),
        (Effect.ALLOW, Who(WhoKind.ROLE, "administrator"), set(Operation), "", ("*",), "Administrators may do everything everywhere"),
    ],
)  # fmt: skip
def test_it_reads_like_one(
    effect: Effect, who: Who, operations: set[Operation], place: str, paths: tuple[str, ...], says: str
) -> None:
    patterns = tuple(Pattern.parse(path) for path in paths)

    policy = Policy(id="pol-1", effect=effect, who=who, operations=frozenset(operations), place=place, paths=patterns)

    assert sentence_of(policy, NAMES) == says


def test_the_whole_hides_its_parts() -> None:
    policy = Policy(
        id="pol-1",
        effect=Effect.ALLOW,
        who=Who(WhoKind.ROLE, Role.VIEWER.value),
        operations=frozenset({Operation.READ}),
        paths=(ITSELF, ALL),
    )

    assert sentence_of(policy, {}) == "Viewers may read everywhere"
