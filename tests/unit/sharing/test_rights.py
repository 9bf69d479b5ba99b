"""What policies grant other servers, in the words of object 2: deny wins, and nothing smaller than an instance is said."""

from hypothesis import given
from hypothesis import strategies as st

from shoal.access.decision import Place, Policies, may, server_subject
from shoal.access.pattern import Pattern
from shoal.access.policy import OF_SERVERS, OTHER_SERVERS, Effect, Operation, Policy, Who, WhoKind
from shoal.ids import DeviceId, FarmId, TenantId
from shoal.lwm2m.path import Path
from shoal.sharing.rights import (
    BITS,
    BOOTSTRAP,
    EVERYTHING,
    OTHERS,
    Target,
    differ,
    effective,
    narrower,
    operations_of,
    ours,
    to_write,
    wanted,
)

MINE = TenantId("ten-1")
HERE = Place(tenant=MINE, farm=FarmId("frm-1"), device=DeviceId("dev-1"))
TARGETS = [Target(3, 0), Target(3, BOOTSTRAP), Target(3303, 0), Target(3303, 1), Target(3303, BOOTSTRAP)]
OURS = 101

servers = st.sampled_from([102, 103])
whos = st.just(OTHER_SERVERS) | servers.map(lambda one: Who(WhoKind.SERVER, str(one)))
paths = st.sampled_from(["*", "/", "/3/*", "/3/0/*", "/3/0/9", "/3303/*", "/3303/1/*", "/3303/0/5700"])
rows = st.lists(
    st.builds(
        Policy,
        id=st.uuids().map(str),
        effect=st.sampled_from(Effect),
        who=whos,
        operations=st.frozensets(st.sampled_from(sorted(OF_SERVERS)), min_size=1),
        place=st.sampled_from(["ten-1", "frm-1", "frm-2", "dev-1"]),
        paths=st.lists(paths.map(Pattern.parse), min_size=1, max_size=2).map(tuple),
    ),
    max_size=6,
)
acls = st.dictionaries(st.sampled_from([0, OURS, 102, 103]), st.integers(0, 31))


def policy(effect: Effect, who: str, *operations: Operation, path: str = "*", place: str = "ten-1") -> Policy:
    patterns = (Pattern.parse(path),)
    named = Who(WhoKind.SERVER, who)
    return Policy(
        id=f"{who}{path}", effect=effect, who=named, operations=frozenset(operations), place=place, paths=patterns
    )


def wants(*policies: Policy, of: set[int] | None = None) -> dict[str, object]:
    return dict(wanted(Policies(MINE, policies), HERE, TARGETS, of))


@given(rows)
def test_a_right_is_given_exactly_where_a_decision_allows_all_of_the_target(policies: list[Policy]) -> None:
    judging = Policies(MINE, policies)
    found = wanted(judging, HERE, TARGETS, None)

    for target in TARGETS:
        acl = found.get(str(target), {})
        for server in (OTHERS, 102, 103):
            subject = server_subject(MINE, "*" if server == OTHERS else str(server))
            for operation, bit in BITS.items():
                if bit & target.bits:
                    is_allowed = may(judging, subject, operation, HERE, Path(*target.numbers))
                    assert bool(effective(acl, server) & bit) == is_allowed


@given(rows, st.permutations(range(6)))
def test_the_order_of_policies_does_not_matter(policies: list[Policy], order: list[int]) -> None:
    shuffled = [policies[number] for number in order if number < len(policies)]

    assert wants(*policies) == wants(*shuffled)


@given(rows)
def test_a_denial_of_a_part_takes_the_whole_and_a_grant_of_a_part_gives_nothing(policies: list[Policy]) -> None:
    denial = policy(Effect.DENY, "*", *OF_SERVERS, path="/3/0/9")
    grant = policy(Effect.ALLOW, "102", *OF_SERVERS, path="/3303/0/5700")

    assert "/3/0" not in wants(*policies, denial), "nobody has a right on an instance of which a part is denied"
    assert wants(*policies, grant).get("/3303/0") == wants(*policies).get("/3303/0")


@given(rows, acls)
def test_what_is_written_is_what_was_wanted_and_locks_nobody_out(policies: list[Policy], found: dict[int, int]) -> None:
    for target in TARGETS:
        acl = wanted(Policies(MINE, policies), HERE, TARGETS, None).get(str(target), {})
        written = to_write(acl, found, OURS)

        assert not differ(written, acl, OURS, target)
        assert written[OURS] == found.get(OURS, EVERYTHING)
        assert OTHERS in written, "an empty list would say who owns it, not who may"


@given(acls, acls)
def test_two_lists_differ_when_some_other_server_may_something_else(one: dict[int, int], two: dict[int, int]) -> None:
    target = Target(3, 0)
    everybody = [OTHERS, 102, 103, 104]
    is_same = all((effective(one, server) ^ effective(two, server)) & EVERYTHING == 0 for server in everybody)

    assert differ(one, two, OURS, target) is not is_same


def test_creating_is_a_right_on_the_object_and_all_else_on_instances() -> None:
    found = wants(policy(Effect.ALLOW, "102", Operation.READ, Operation.CREATE, path="/3303"))

    assert found == {"/3303/0": {102: 1}, "/3303/1": {102: 1}, "/3303": {102: 16}}


def test_all_others_have_one_entry_and_a_server_has_its_own_only_where_it_differs() -> None:
    reading = policy(Effect.ALLOW, "*", Operation.READ, path="/3/0")
    writing = policy(Effect.ALLOW, "102", Operation.WRITE, path="/3/0")
    denying = policy(Effect.DENY, "103", Operation.READ)

    assert wants(reading, writing, denying) == {"/3/0": {OTHERS: 1, 102: 3, 103: 0}}
    assert wants(reading, writing, denying, of={OURS, 102}) == {"/3/0": {OTHERS: 1, 102: 3}}, "it has no server 103"


def test_policies_elsewhere_and_about_people_say_nothing_of_servers() -> None:
    elsewhere = policy(Effect.ALLOW, "102", Operation.READ, place="frm-2")
    people = Policy(
        id="p", effect=Effect.ALLOW, who=Who(WhoKind.EVERYBODY), operations=frozenset(Operation), place="ten-1"
    )

    assert wants(elsewhere, people) == {}


def test_what_is_less_than_an_instance_is_named() -> None:
    part = policy(Effect.ALLOW, "102", Operation.READ, path="/3/0/9")
    whole = policy(Effect.ALLOW, "102", Operation.READ, path="/3")
    making = policy(Effect.ALLOW, "102", Operation.CREATE, path="/3/0")
    judging = Policies(MINE, [part, whole, making])

    assert narrower(judging, HERE, Target(3, 0)) == [part]
    assert narrower(judging, HERE, Target(3, BOOTSTRAP)) == [making]
    assert narrower(judging, HERE, Target(3303, 0)) == []


def test_bits_read_as_operations() -> None:
    assert operations_of(0b10011) == [Operation.READ, Operation.WRITE, Operation.CREATE]


def test_an_owner_may_everything_until_an_entry_says_otherwise() -> None:
    target = Target(3, 0)

    assert ours({102: 1}, OURS, OURS, target) == EVERYTHING
    assert ours({OURS: 1}, OURS, OURS, target) == 1
    assert ours({OTHERS: 2}, OURS, 102, target) == 2
    assert ours({}, OURS, None, target) == 0
