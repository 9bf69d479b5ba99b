"""Email: what goes out, and what every answer of a mail server means."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from shoal.errors import Rejected
from shoal.notifications import email as email_module
from shoal.notifications.channel import GiveUp, Sent, TryAgain
from shoal.notifications.email import EmailChannel, MailSecurity, MailSettings, envelope
from shoal.notifications.message import Message
from tests.harness.mail import MailServer

MESSAGE = Message(
    "ntf-1", "alr-1", "High: «Øst» is silent (#K7CC)", "It says nothing.\n.\nØst\n", "<p>Øst</p>", "opened", {}
)
KARI = "kari@farm.example"


@pytest.fixture
def server() -> Iterator[MailServer]:
    running = MailServer()
    running.start()
    yield running
    running.stop()


def channel(server: MailServer, **more: str) -> EmailChannel:
    settings = MailSettings("127.0.0.1", server.port, "shoal@farm.example", MailSecurity.NONE, **more)
    return EmailChannel(settings)


async def test_a_mail_arrives_as_it_was_written_under_its_own_id(server: MailServer) -> None:
    outcome = await channel(server).send(KARI, MESSAGE)

    assert isinstance(outcome, Sent)
    assert "kept" in outcome.receipt
    [mail] = server.mails
    assert (mail["Subject"], mail["To"], mail["From"]) == (MESSAGE.subject, KARI, "Shoal <shoal@farm.example>")
    assert mail["Message-ID"] == "<ntf-1@farm.example>"
    assert mail["References"] == "<alr-1@farm.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().splitlines() == MESSAGE.text.splitlines()
    assert html.get_content().strip() == MESSAGE.html


@pytest.mark.parametrize(
    ("rcpt", "data", "kind"),
    [
        ("250 ok", "250 kept", Sent),
        ("550 no such user", "250 kept", GiveUp),
        ("450 mailbox busy", "250 kept", TryAgain),
        ("250 ok", "554 spam", GiveUp),
        ("250 ok", "451 try later", TryAgain),
    ],
)
async def test_an_answer_of_4yz_asks_to_come_again_and_5yz_does_not(
    server: MailServer, rcpt: str, data: str, kind: type
) -> None:
    server.answers[KARI] = rcpt
    server.data_answer = data

    outcome = await channel(server).send(KARI, MESSAGE)

    assert isinstance(outcome, kind)
    assert len(server.mails) == (kind is Sent)


async def test_a_server_that_does_not_let_us_in_can_be_put_right_by_an_operator(server: MailServer) -> None:
    # This server has no log-in at all.
    outcome = await channel(server, username="shoal", password="wrong").send(KARI, MESSAGE)

    assert isinstance(outcome, TryAgain)


async def test_a_server_that_is_away_is_asked_again(server: MailServer) -> None:
    server.stop()

    outcome = await channel(server).send(KARI, MESSAGE)

    assert isinstance(outcome, TryAgain)
    assert outcome.reason.startswith("the mail server is away")


async def test_a_server_that_is_slow_at_every_step_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_module, "CALL_TIMEOUT", timedelta(seconds=0.2))
    hung_up = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Each answer comes within the bound of one step, but all of them together do not.
        writer.write(b"220 slow\r\n")
        while line := await reader.readline():
            await asyncio.sleep(0.15)
            writer.write(b"354 go on\r\n" if line.upper().startswith(b"DATA") else b"250 ok\r\n")
        hung_up.set()
        writer.close()

    slow = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with slow:
        settings = MailSettings("127.0.0.1", slow.sockets[0].getsockname()[1], "shoal@farm.example", MailSecurity.NONE)
        async with asyncio.timeout(20):
            outcome = await EmailChannel(settings).send(KARI, MESSAGE)
            await hung_up.wait()

    assert isinstance(outcome, TryAgain)


async def test_without_a_mail_server_mail_waits() -> None:
    assert await EmailChannel(None).send(KARI, MESSAGE) == TryAgain("no mail server is configured", needs_operator=True)


async def test_mail_that_must_be_encrypted_does_not_leave_in_clear(server: MailServer) -> None:
    settings = MailSettings("127.0.0.1", server.port, "shoal@farm.example", MailSecurity.STARTTLS)

    outcome = await EmailChannel(settings).send(KARI, MESSAGE)

    assert isinstance(outcome, TryAgain)
    assert server.mails == []


def test_the_same_message_again_has_the_same_id() -> None:
    assert envelope(MESSAGE, "a@b.example", KARI)["Message-ID"] == envelope(MESSAGE, "a@b.example", KARI)["Message-ID"]


@pytest.mark.parametrize(
    ("uri", "host", "port", "security"),
    [
        ("smtps://mail.example", "mail.example", 465, MailSecurity.TLS),
        ("smtp+starttls://mail.example", "mail.example", 587, MailSecurity.STARTTLS),
        ("smtp+starttls://mail.example:2525", "mail.example", 2525, MailSecurity.STARTTLS),
        ("smtp://localhost:1025", "localhost", 1025, MailSecurity.NONE),
        ("smtp://127.0.0.1", "127.0.0.1", 25, MailSecurity.NONE),
    ],
)
def test_a_mail_server_is_named_by_its_address(uri: str, host: str, port: int, security: MailSecurity) -> None:
    settings = MailSettings.parse(uri, "shoal@farm.example")

    assert (settings.host, settings.port, settings.security, settings.username) == (host, port, security, None)


def test_a_password_may_hold_any_character() -> None:
    settings = MailSettings.parse("smtps://us%40er:p%3Aa%2Fss@mail.example", "shoal@farm.example")

    assert (settings.username, settings.password) == ("us@er", "p:a/ss")


@pytest.mark.parametrize(
    "uri", ["", "mail.example", "http://mail.example", "smtp://mail.example", "smtp://", "smtps://mail.example:99999"]
)
def test_what_is_no_mail_server_or_would_leave_the_machine_in_clear_is_rejected(uri: str) -> None:
    with pytest.raises(Rejected, match="mail server"):
        MailSettings.parse(uri, "shoal@farm.example")
