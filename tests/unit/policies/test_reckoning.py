"""What a change means for people, and what will never matter."""

from shoal.access.decision import Place, Policies, Subject
from shoal.access.pattern import ALL, Pattern
from shoal.access.policy import EVERYBODY, Effect, Operation, Policy, Role, Who, WhoKind
from shoal.ids import FarmId, TenantId
from shoal.policies.reckoning import Balance, administrators, balance, warnings

MINE = TenantId("ten-1")
FARM = Place(tenant=MINE, farm=FarmId("frm-1"))
PLACES = {"ten-1": Place(tenant=MINE), "frm-1": FARM}


def person(id_: str, role: Role, *places: str) -> Subject:
    return Subject(tenant=MINE, role=role, id=id_, name=id_, places=frozenset(places))


BOSS, KARI, OLA = (
    person("usr-1", Role.ADMINISTRATOR),
    person("usr-2", Role.VIEWER),
    person("usr-3", Role.VIEWER, "frm-1"),
)
PEOPLE = [BOSS, KARI, OLA]


def policy(
    effect: Effect, operation: Operation, who: Who = EVERYBODY, place: str = "ten-1", path: Pattern = ALL
) -> Policy:
    return Policy(id="pol-1", effect=effect, who=who, operations=frozenset({operation}), place=place, paths=(path,))


def test_administrators_are_those_of_the_whole_tenant() -> None:
    denied = policy(Effect.DENY, Operation.ADMINISTER, Who(WhoKind.USER, "usr-1"))

    assert administrators(Policies(MINE), [*PEOPLE, person("usr-4", Role.ADMINISTRATOR, "frm-1")]) == {"usr-1"}
    assert administrators(Policies(MINE, [denied]), PEOPLE) == set()


def test_people_gain_and_lose_where_a_policy_speaks() -> None:
    grant = policy(Effect.ALLOW, Operation.WRITE, place="frm-1")
    denial = policy(Effect.DENY, Operation.READ)

    gained = balance(Policies(MINE), Policies(MINE, [grant]), [grant], PEOPLE, PLACES)
    lost = balance(Policies(MINE), Policies(MINE, [denial]), [denial], PEOPLE, PLACES)

    assert gained == Balance(frozenset({"usr-2", "usr-3"}), frozenset())
    assert lost == Balance(frozenset(), frozenset({"usr-1", "usr-2", "usr-3"})), "Ola at his farm, too"


def test_a_policy_of_what_is_not_there_is_warned_of() -> None:
    gone = policy(Effect.DENY, Operation.READ, Who(WhoKind.USER, "usr-9"), place="frm-9")
    idle = policy(Effect.DENY, Operation.ACKNOWLEDGE, path=Pattern((3,)))
    vain = policy(Effect.ALLOW, Operation.READ, Who(WhoKind.ROLE, "viewer"))
    fine = policy(Effect.DENY, Operation.READ, Who(WhoKind.ROLE, "viewer"))
    none = Balance(frozenset(), frozenset())

    assert len(warnings(gone, PEOPLE, PLACES, None)) == 2
    assert "never asked of a path" in warnings(idle, PEOPLE, PLACES, none)[0]
    assert warnings(vain, PEOPLE, PLACES, none) == [
        "For the people that there are now, this policy does not allow anything new"
    ]
    assert warnings(fine, PEOPLE, PLACES, Balance(frozenset(), frozenset({"usr-2"}))) == []
    assert warnings(fine, [BOSS], PLACES, None) == ["No person has the role viewer"]


def test_what_a_device_has_no_word_for_is_warned_of() -> None:
    supplier, none = Who(WhoKind.SERVER, "102"), Balance(frozenset(), frozenset())

    def said(effect: Effect, operation: Operation, path: str) -> list[str]:
        return warnings(policy(effect, operation, supplier, path=Pattern.parse(path)), PEOPLE, PLACES, none)

    assert said(Effect.ALLOW, Operation.READ, "/3/0") == said(Effect.ALLOW, Operation.CREATE, "/3") == []
    assert said(Effect.ALLOW, Operation.READ, "/3/0/9") == [
        "A device grants no server less than an object instance: /3/0/9 grants nothing"
    ]
    assert said(Effect.DENY, Operation.READ, "/3/0/9") == [
        "A device grants no server less than an object instance: /3/0/9 denies all of /3/0"
    ]
    assert said(Effect.ALLOW, Operation.CREATE, "/3/0") == [
        "To create is a right on an object: for /3/0/* it grants nothing"
    ]
