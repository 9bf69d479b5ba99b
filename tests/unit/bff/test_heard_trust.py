from shoal.bff import heard_trust


def test_an_entry_of_an_older_api_is_read_all_the_same() -> None:
    known = {"id": "r-1", "first_at": "2026-11-21T14:00:00Z", "last_at": "2026-11-21T14:28:00Z", "device": None}

    event = heard_trust.SecurityEvent.model_validate(known)

    assert (event.device, event.count, event.is_rest, event.reason) == (None, 1, False, "")


def test_an_anchor_that_nobody_counted_has_no_devices() -> None:
    use = heard_trust.AnchorUse.model_validate({"anchors": [{"anchor": "tra-1", "devices": 7}], "elsewhere": None})

    assert (use.of("tra-1"), use.of("tra-2"), use.elsewhere) == (7, 0, 0)
