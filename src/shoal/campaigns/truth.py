"""What is true after an install: decided by the version that the device reports, not by what it says of its success.

after the new registration   result       verdict
the new version              any          confirmed
the old version              1            a lie: needs attention
the old version              0            failed: it lost the result over the reboot (zephyr#42584)
the old version              5 or 8       rolled back by the device
a third version              any          needs attention
no version readable          1            unconfirmed: needs attention
"""

from dataclasses import dataclass
from typing import Final

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.update import Trigger
from shoal.campaigns.version import is_same

# Object 5, resource 5 (Update Result).
INITIAL: Final = 0
SUCCESS: Final = 1
CONNECTION_LOST: Final = 4
INTEGRITY_FAILED: Final = 5
URI_INVALID: Final = 7
UPDATE_FAILED: Final = 8
PROTOCOL_UNSUPPORTED: Final = 9
CANCELLED: Final = 10
DEFERRED: Final = 11
RESULT_WORDS: Final = {
    2: "not enough storage",
    3: "out of memory while downloading",
    4: "connection lost while downloading",
    5: "the integrity check failed",
    6: "the package type is not supported",
    7: "the address is not valid",
    8: "the update failed",
    9: "the protocol is not supported",
    10: "cancelled on the device",
    11: "deferred by the device",
}
_SENT_BACK: Final = frozenset({INTEGRITY_FAILED, UPDATE_FAILED})


@dataclass(frozen=True, slots=True)
class Truth:
    """How an update ended, and why we think so."""

    trigger: Trigger
    reason: str


def truth(kind: ArtifactKind, wanted: str, before: str | None, version: str | None, result: int) -> Truth:
    """The verdict. `before` is the version from before the update, `version` what the device reports now."""
    if version is None:
        return _without_version(result)
    if is_same(version, wanted):
        # Object 5 may name the version of a package that it holds but does not run (resource 7).
        if kind is ArtifactKind.MODEL and result not in {INITIAL, SUCCESS}:
            return Truth(Trigger.DOUBT, f"it reports {version}, and yet {result_words(result)}")
        return Truth(Trigger.CONFIRM, f"it reports {version}")
    if before is not None and not is_same(version, before):
        return Truth(Trigger.DOUBT, f"it reports {version}: neither what it ran nor what it was sent")
    if result == SUCCESS:
        return Truth(Trigger.DOUBT, f"it says that it succeeded, but reports {version}")
    if result in _SENT_BACK:
        return Truth(Trigger.ROLL_BACK, f"{result_words(result)}; it went back to {version}")
    if result == INITIAL:
        return Truth(Trigger.FAIL, f"it still reports {version}, and no result")
    return Truth(Trigger.FAIL, f"{result_words(result)}; it still reports {version}")


def _without_version(result: int) -> Truth:
    if result == SUCCESS:
        return Truth(Trigger.DOUBT, "it says that it succeeded, but its version cannot be read")
    if result in _SENT_BACK:
        return Truth(Trigger.ROLL_BACK, f"{result_words(result)}; its version cannot be read")
    return Truth(Trigger.FAIL, f"{result_words(result)}; its version cannot be read")


def result_words(result: int) -> str:
    """A result in words."""
    return RESULT_WORDS.get(result, "no result" if result == INITIAL else f"result {result}")
