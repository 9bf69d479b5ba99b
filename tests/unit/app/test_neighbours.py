"""The adapters between rooms that do not know each other."""

import json
from datetime import timedelta

import pytest

from shoal.app.neighbours import file_address, mail_settings, place_names, queue_for_campaigns, queue_for_inventory
from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.neighbours import Request
from shoal.commands.command import Operation
from shoal.events.alert import NotificationDue
from shoal.events.condition import Verdict
from shoal.notifications.email import MailSecurity
from shoal.settings import Settings
from tests.harness.installation import START, Installation


def facts(*, secure: bool, binding: str = "U") -> DeviceFacts:
    return DeviceFacts(device="dev-1", tenant="ten-1", secure=secure, binding=binding)


@pytest.mark.parametrize(
    ("listeners", "public", "secure", "address"),
    [
        (("coaps://127.0.0.1:5684",), None, True, "coaps://127.0.0.1:5684"),
        (("coap://127.0.0.1:5683", "coaps://127.0.0.1:5684"), None, True, "coaps://127.0.0.1:5684"),
        (("coap://127.0.0.1:5683", "coaps://127.0.0.1:5684"), None, False, "coap://127.0.0.1:5683"),
        (("coaps://0.0.0.0:5684",), "coaps://farm.example:5684", True, "coaps://farm.example:5684"),
        (("coap://127.0.0.1:5683",), "coaps://farm.example:5684", False, "coap://127.0.0.1:5683"),
        (("coaps://[::1]:5684",), None, True, "coaps://[::1]:5684"),
    ],
)
def test_a_device_is_sent_to_the_listener_that_it_can_use(
    listeners: tuple[str, ...], public: str | None, secure: bool, address: str
) -> None:
    assert file_address(listeners, public)(facts(secure=secure)) == address


def test_a_device_that_connects_is_sent_where_it_can_connect() -> None:
    listeners = ("coap://127.0.0.1:5683", "coap+tcp://127.0.0.1:5685", "coaps://[::1]:5684", "coaps+tcp://[::1]:5684")

    assert file_address(listeners, None)(facts(secure=True, binding="T")) == "coaps+tcp://[::1]:5684"
    assert file_address(listeners, None)(facts(secure=False, binding="T")) == "coap+tcp://127.0.0.1:5685"
    assert file_address(listeners, None)(facts(secure=False, binding="UT")) == "coap://127.0.0.1:5683"


def test_a_wildcard_is_no_address_to_send_a_device_to() -> None:
    assert "0.0.0.0" not in file_address(("coaps://0.0.0.0:5684",), None)(facts(secure=True))


def test_mail_goes_out_as_the_settings_say_or_waits() -> None:
    assert mail_settings(Settings()) is None

    mail = mail_settings(
        Settings(
            smtp_host="mail.example", smtp_port=465, smtp_security="tls", smtp_user="shoal", smtp_password="s3cret"
        )
    )

    assert mail is not None
    assert (mail.host, mail.port, mail.security, mail.username) == ("mail.example", 465, MailSecurity.TLS, "shoal")
    assert mail.password == "s3cret"


async def test_telling_a_device_its_enclosure_is_a_write_that_waits(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    enclosure = await shoal.create_enclosure(tenant, await shoal.create_farm(tenant))
    device = await shoal.create_device(tenant, enclosure=enclosure)
    tell = queue_for_inventory(shoal.commands)

    async with shoal.database.transaction() as tx:
        await tell(tx, device.place, "/26241/0/0", enclosure)

    (command,) = await shoal.commands.of_device(tenant, device.id)
    assert (command.operation, command.path) == (Operation.WRITE, "/26241/0/0")
    assert json.loads(command.body or b"") == {"value": enclosure}
    assert command.wait_for_wake


async def test_a_campaigns_request_becomes_a_command_of_the_one_who_asked(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    enqueue = queue_for_campaigns(shoal.commands)

    async with shoal.database.transaction() as tx:
        asked = await enqueue(
            tx,
            Request(
                tenant=tenant,
                farm=None,
                enclosure=None,
                device=device.id,
                operation="execute",
                path="/5/0/2",
                body=None,
                time_to_live=timedelta(minutes=1),
                by="usr-1",
            ),
        )

    (command,) = await shoal.commands.of_device(tenant, device.id)
    assert (command.id, command.operation, command.by) == (asked, Operation.EXECUTE, "usr-1")


async def test_an_alerts_place_is_told_by_name_from_the_inside_out(shoal: Installation) -> None:
    tenant = await shoal.create_tenant("Nordlaks")
    farm = await shoal.create_farm(tenant, "Storholmen")
    enclosure = await shoal.create_enclosure(tenant, farm, "Pen 4")
    name = place_names(shoal.inventory)

    def due(farm: str | None, enclosure: str | None) -> NotificationDue:
        return NotificationDue(
            id="n-1",
            time=START,
            tenant=tenant,
            farm=farm,
            enclosure=enclosure,
            device=None,
            alert="alr-1",
            code="A7K2",
            condition="silent",
            severity="high",
            headline="A camera is silent",
            verdict=Verdict(cause="unknown", says="Silent"),
            opened_at=START,
            notification="n-1",
            about="opened",
            step=0,
        )

    assert await name(due(farm, enclosure)) == "Pen 4, Storholmen"
    assert await name(due(farm, None)) == "Storholmen"
    assert await name(due(None, None)) == "Nordlaks"
    assert await name(due(farm, "enc-gone")) == "enc-gone"
