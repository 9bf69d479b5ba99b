"""How it stands with the rights of other servers on a device: wanted, found, and why the two are not the same. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from shoal.access.decision import Policies
from shoal.access.policy import Policy
from shoal.sharing.rights import BOOTSTRAP, Acl, Target, narrower
from shoal.sharing.shared import Outcome, Phase, Shared, decided, is_different, is_ours, last_told


class State(StrEnum):
    """How it stands with one target.

    `left`: no policy speaks of the device's servers, so all is as bootstrap left it. `waiting`: it will be told, or is
    being told. `refused`: by the device; `ignored`: it took the change and shows something else. `foreign`: another
    server may change it, not we; `bootstrap`: only a bootstrap server may. `unknown`: the last look could not end.
    """

    AS_WANTED = "as-wanted"
    LEFT = "left"
    WAITING = "waiting"
    REFUSED = "refused"
    IGNORED = "ignored"
    FOREIGN = "foreign"
    BOOTSTRAP = "bootstrap"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One target: rights by short id as they are wanted and as the device shows them, None where it has no list.

    `owner` is the server that may change them. `reason` says in words why they differ. `unsaid` are policies that speak
    of less than an object instance.
    """

    target: Target
    wanted: Acl
    found: Acl | None
    owner: int | None
    state: State
    code: str | None
    reason: str
    unsaid: tuple[Policy, ...]

    @property
    def has_drifted(self) -> bool:
        """Whether the device does something else than what is wanted, and will not come to it by itself."""
        return self.state in {State.REFUSED, State.IGNORED, State.FOREIGN, State.BOOTSTRAP}


def standings(shared: Shared, policies: Policies) -> list[Standing]:
    """Every target of which anything is wanted or found, judged by these policies."""
    now = decided(shared, policies)
    found = [_standing(now, target, policies) for target in now.targets]
    return [one for one in found if one.wanted or one.found is not None or one.unsaid]


def _standing(shared: Shared, target: Target, policies: Policies) -> Standing:
    control = shared.control(target)
    state, code, reason = _judged(shared, target)
    return Standing(
        target=target,
        wanted=shared.wants.get(str(target), {}),
        found=None if control is None else control.acl,
        owner=None if control is None else control.owner,
        state=state,
        code=code,
        reason=reason,
        unsaid=tuple(narrower(policies, shared.place, target)),
    )


def _judged(shared: Shared, target: Target) -> tuple[State, str | None, str]:
    """The state of a target, with the device's code, and the reason in words."""
    if not shared.is_ruled:
        return State.LEFT, None, ""
    if shared.phase is not Phase.SETTLED:
        return (State.WAITING if is_different(shared, target) else State.AS_WANTED), None, ""
    if shared.problem or shared.own is None:
        return State.UNKNOWN, shared.code, shared.problem
    if not is_different(shared, target):
        return State.AS_WANTED, None, ""
    if not is_ours(shared, target):
        return _not_ours(shared, target)
    told = last_told(shared, target)
    if told is None:
        return State.WAITING, None, ""
    if told.outcome is Outcome.UNANSWERED:
        return State.WAITING, None, f"{told.detail}; it is told again when it registers"
    if told.outcome is Outcome.REFUSED:
        return State.REFUSED, told.code, f"The device refused it: {told.detail}"
    return State.IGNORED, None, "The device said that it took it, and shows something else"


def _not_ours(shared: Shared, target: Target) -> tuple[State, str | None, str]:
    control = shared.control(target)
    if target.is_creation or control is None or control.owner == BOOTSTRAP:
        what = "the right to create instances" if target.is_creation else "it"
        return State.BOOTSTRAP, None, f"Only a bootstrap server may change {what}"
    return State.FOREIGN, None, f"Server {control.owner} owns it, and only the owner may change it"
