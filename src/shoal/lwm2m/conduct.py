"""How patiently a server deals with a device."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shoal.errors import Rejected

# A device of NB-IoT wants 5 to 10 s, a satellite some more; beyond it nobody waits for an answer.
ACK_TIMEOUT_MAX: Final = timedelta(seconds=60)
# With 8 repetitions the last wait is 256 times the first.
RETRANSMIT_MAX: Final = 8
# It spreads the first waits of devices; beyond three times it only makes them slow.
RANDOM_FACTOR_MAX: Final = 3.0
# Nobody sleeps longer than a year.
SPAN_MAX: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How long a server waits for a device. The defaults are those of RFC 7252 §4.8 and OMA LwM2M Transport 1.1 §6.5.

    `awake_window`: so long a device in queue mode listens after it spoke; say no more than it does. `grace` is added to its
    lifetime before it counts as gone: by default a tenth of that, 247 s at least. A message that nobody acknowledges is
    repeated after `ack_timeout` and up to `random_factor` times that, then after twice as long each, `max_retransmit` times.

    Raises:
        Rejected: a span or a number is none.
    """

    awake_window: timedelta = timedelta(seconds=93)
    grace: timedelta | None = None
    ack_timeout: timedelta = timedelta(seconds=2)
    random_factor: float = 1.5
    max_retransmit: int = 4

    def __post_init__(self) -> None:
        nothing = timedelta(0)
        if not nothing < self.awake_window <= SPAN_MAX:
            raise Rejected("awake_window", f"{self.awake_window}, expected more than 0 and at most {SPAN_MAX}")
        if self.grace is not None and not nothing <= self.grace <= SPAN_MAX:
            raise Rejected("grace", f"{self.grace}, expected 0 to {SPAN_MAX}")
        if not nothing < self.ack_timeout <= ACK_TIMEOUT_MAX:
            raise Rejected("ack_timeout", f"{self.ack_timeout}, expected more than 0 and at most {ACK_TIMEOUT_MAX}")
        if not 1 <= self.random_factor <= RANDOM_FACTOR_MAX:
            raise Rejected("random_factor", f"{self.random_factor}, expected 1 to {RANDOM_FACTOR_MAX}")
        if not 0 <= self.max_retransmit <= RETRANSMIT_MAX:
            raise Rejected("max_retransmit", f"{self.max_retransmit}, expected 0 to {RETRANSMIT_MAX}")
