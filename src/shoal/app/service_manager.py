"""Tells systemd that this process is ready (`Type=notify`, sd_notify(3))."""

import logging
import socket

log = logging.getLogger(__name__)


def tell(state: str, address: str | None) -> None:
    """Sends a state such as `READY=1` to the socket that systemd named in NOTIFY_SOCKET; None: nobody waits for it."""
    if not address:
        return
    # A leading @ stands for the zero byte of Linux' abstract names.
    where = f"\0{address[1:]}" if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.sendto(state.encode(), where)
    except OSError as error:
        log.warning("service_manager.away", extra={"address": address, "reason": str(error)})
