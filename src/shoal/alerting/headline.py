"""One line that says what is wrong with what: the subject of a message, the title of an alert."""

from typing import Final

# Conditions whose sentence needs nothing but the name of the device.
_SENTENCES: Final = {
    "late": "{name} is late: reports are missing",
    "silent": "{name} is silent",
    "deregistered": "{name} said goodbye and has not come back",
    "battery_low": "The battery of {name} is low",
    "supply_lost": "{name} lost its power supply",
    "place_mismatch": "{name} says it is somewhere else",
    "update_failed": "The update of {name} failed",
    "version_drift": "{name} runs another version than it was updated to",
}
_ERRORS: Final = {
    "low_battery": "low battery power",
    "supply_off": "that its power supply is off",
    "gps_failure": "a GPS failure",
    "weak_signal": "a weak signal",
    "out_of_memory": "that it is out of memory",
    "sms_failure": "an SMS failure",
    "ip_failure": "an IP failure",
    "peripheral_failure": "a malfunction of a peripheral",
}
# The longest endpoint name that a subject line shows; the alert itself has all of it.
NAME_CHARACTERS_MAX: Final = 64


def headline(endpoint: str, condition: str, instance: str, cause: str) -> str:
    """The line for a condition of a device; in plain words also for a condition that is new to us."""
    name = printable(endpoint) or "A device"
    if condition == "error_code":
        return f"{name} reports {_ERRORS.get(cause, f'error {instance}')}"
    if condition == "update_failed" and cause == "update_rolled_back":
        return f"{name} rolled its update back"
    if condition == "update_failed" and cause == "update_needs_attention":
        return f"The update of {name} needs a person"
    sentence = _SENTENCES.get(condition, "{name}: " + condition.replace("_", " "))
    return sentence.replace("{name}", name)


def printable(text: str) -> str:
    """A name as it may stand in a line: endpoint names come from devices and hold what they like."""
    shown = "".join(character if character.isprintable() else " " for character in text[: NAME_CHARACTERS_MAX + 1])
    return shown if len(shown) <= NAME_CHARACTERS_MAX else shown[: NAME_CHARACTERS_MAX - 1] + "…"
