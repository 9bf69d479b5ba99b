"""Email over SMTP (RFC 5321): one message to one person, under an id that stays the same when it is sent again."""

import asyncio
import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from enum import StrEnum
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from shoal.errors import Rejected
from shoal.notifications.channel import EMAIL, GiveUp, Outcome, Sent, TryAgain
from shoal.notifications.contact import parse_email
from shoal.notifications.message import Message

# A mail server that has not answered by then is away; the lease of the notification is six times as long.
CALL_TIMEOUT: Final = timedelta(seconds=5)
# How much of a server's answer we keep.
ANSWER_CHARACTERS_MAX: Final = 200  # the reason fits on one line of a screen
_PORTS: Final = {"none": 25, "starttls": 587, "tls": 465}


class MailSecurity(StrEnum):
    """How the way to the mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Where mail goes out, and who it is from."""

    host: str
    port: int
    sender: str
    security: MailSecurity = MailSecurity.STARTTLS
    username: str | None = None
    password: str | None = None

    @classmethod
    def parse(cls, uri: str, sender: str) -> "MailSettings":
        """`smtps://user:password@host`, `smtp+starttls://host:587`, or `smtp://localhost:1025` without protection.

        Raises:
            Rejected: not such an address, or one without TLS that leaves this machine.
        """
        parts = urlsplit(uri)
        security = {"smtps": "tls", "smtp+starttls": "starttls", "smtp": "none"}.get(parts.scheme)
        if security is None or not parts.hostname:
            raise Rejected("mail server", "smtps://host, smtp+starttls://host or smtp://localhost:port")
        try:
            port = parts.port or _PORTS[security]
        except ValueError as error:
            raise Rejected("mail server", "the port is not a number up to 65535") from error
        if security == "none" and not _is_loopback(parts.hostname):
            raise Rejected("mail server", "without TLS only on this machine; use smtps:// or smtp+starttls://")
        return cls(
            host=parts.hostname,
            port=port,
            sender=parse_email(sender),
            security=MailSecurity(security),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


class EmailChannel:
    """Sends by one mail server. Without settings everything waits until there are some."""

    name = EMAIL

    def __init__(self, settings: MailSettings | None) -> None:
        self._settings = settings

    async def send(self, address: str, message: Message) -> Outcome:
        """Sends one message to one address and says what the mail server made of it."""
        if self._settings is None:
            return TryAgain("no mail server is configured", needs_operator=True)
        try:
            # The library bounds each step of the conversation; a slow server could still outlast the lease.
            async with asyncio.timeout(CALL_TIMEOUT.total_seconds()):
                _, answer = await self._sent(self._settings, address, message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _refused(error.recipients[0].code, error.recipients[0].message)
        except aiosmtplib.SMTPDataError as error:
            return _refused(error.code, error.message)
        except aiosmtplib.SMTPResponseException as error:
            # Our log-in or our sender is refused: an operator can put that right, and then everything goes out.
            reason = f"the mail server does not serve us: {error.code} {_short(error.message)}"
            return TryAgain(reason, needs_operator=error.code >= 500)
        except (aiosmtplib.SMTPException, OSError) as error:
            return TryAgain(f"the mail server is away: {_short(str(error) or type(error).__name__)}")
        return Sent(_short(answer))

    @staticmethod
    async def _sent(settings: MailSettings, address: str, message: Message) -> tuple[object, str]:
        return await aiosmtplib.send(
            envelope(message, settings.sender, address),
            sender=settings.sender,
            recipients=[address],
            hostname=settings.host,
            port=settings.port,
            use_tls=settings.security is MailSecurity.TLS,
            start_tls=settings.security is MailSecurity.STARTTLS,
            username=settings.username,
            password=settings.password,
            timeout=CALL_TIMEOUT.total_seconds(),
        )


def envelope(message: Message, sender: str, address: str) -> EmailMessage:
    """The message as mail: with its own Message-ID, in the thread of its alert (RFC 5322 §3.6.4)."""
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = f"Shoal <{sender}>"
    mail["To"] = address
    mail["Subject"] = message.subject
    mail["Message-ID"] = f"<{message.id}@{domain}>"
    mail["References"] = f"<{message.thread}@{domain}>"
    # RFC 3834 §5: nobody's holiday notice shall answer.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


def _refused(code: int, answer: str) -> Outcome:
    """RFC 5321 §4.2.1: 4yz asks to come again, 5yz does not."""
    reason = f"{code} {_short(answer)}"
    return GiveUp(reason) if code >= 500 else TryAgain(reason)


def _short(answer: str) -> str:
    line = " ".join(answer.split())
    return line[:ANSWER_CHARACTERS_MAX]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
