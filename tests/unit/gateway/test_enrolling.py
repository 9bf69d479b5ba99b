"""What a device is told that asked for a certificate and gets none; what it gets is in tests/interop/test_est_coaps.py."""

import pytest

from shoal.authority.enrolment import Unproved
from shoal.errors import Conflict, NotFound, Rejected, ShoalError, TooMany, Unavailable
from shoal.gateway.enrolling import Question, nobody, refusal_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Rejected("subject", "not yours"), (4, 0)),
        (Unproved("certificate", "revoked"), (4, 1)),
        (NotFound("authority", "none"), (4, 4)),
        (Conflict("aut-1", "is retired"), (4, 9)),
        (TooMany("enrolment", "again and again", 60), (4, 29)),
        (Unavailable("database", "/var/lib/secret is away"), (5, 3)),
    ],
)
def test_each_error_has_its_code_and_tells_nothing_of_our_machine(error: ShoalError, code: tuple[int, int]) -> None:
    said = refusal_of(error)

    assert said[0] == code
    assert "/var" not in said[1]


async def test_where_nobody_signs_a_device_hears_so() -> None:
    with pytest.raises(NotFound):
        await nobody(Question(device="dev-1", operation="sen", format=281, body=b""))
