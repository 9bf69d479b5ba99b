"""What the gateway and the other rooms are told of a device, in the transaction in which it changed."""

from datetime import datetime

from shoal.events.device import PlaceChanged, ProfileChanged
from shoal.inventory.device import Device
from shoal.inventory.observation_store import intents_of
from shoal.inventory.observing import wanted_of
from shoal.inventory.profile import Profile, ProfileSettings
from shoal.storage import directory
from shoal.storage.database import Transaction
from shoal.storage.directory import Conduct, DirectoryEntry


async def put_in_directory(tx: Transaction, device: Device, settings: ProfileSettings) -> None:
    """Writes the device as the gateway is to see it.

    What a quarantined device reports must not count for the enclosure that it hangs in: its events carry none.
    """
    await directory.in_turn(tx)
    observe, unobserved = wanted_of(settings, await intents_of(tx.connection, device.id))
    await directory.put(
        tx,
        DirectoryEntry(
            device_id=device.id,
            tenant_id=device.tenant,
            farm_id=device.farm,
            enclosure_id=None if device.place_state.is_quarantined else device.enclosure,
            endpoint=device.endpoint,
            kind=device.kind.value,
            security=device.security.value,
            profile=Conduct(
                observe=observe,
                unobserved=unobserved,
                read=list(settings.read),
                report_every_s=settings.report_every_s,
                awake_window_s=settings.awake_window_s,
                grace_s=settings.grace_s,
                ack_timeout_s=settings.ack_timeout_s,
                random_factor=settings.random_factor,
                max_retransmit=settings.max_retransmit,
            ),
        ),
    )


def publish_profile(tx: Transaction, device: Device, profile: Profile, now: datetime) -> None:
    """Tells what to expect of the device from now on."""
    settings = profile.settings
    tx.publish(
        ProfileChanged(
            id=f"{device.id}-profile-{device.version}",
            time=now,
            device=device.id,
            tenant=device.tenant,
            farm=device.farm,
            enclosure=device.enclosure,
            endpoint=device.endpoint,
            profile=profile.id,
            kind=device.kind.value,
            report_every_s=settings.report_every_s,
            grace_s=settings.grace_s,
            awake_window_s=settings.awake_window_s,
            created_at=device.created_at,
            samples=settings.samples,
            battery_warning=settings.battery_warning,
            battery_high=settings.battery_high,
        )
    )


def publish_place(tx: Transaction, device: Device, at: datetime, by: str | None) -> None:
    """Tells where the device is, and whether that is in dispute. `by` is the person who decided, None for a finding."""
    tx.publish(
        PlaceChanged(
            id=f"{device.id}-place-{device.version}",
            time=at,
            device=device.id,
            tenant=device.tenant,
            farm=device.farm,
            enclosure=device.enclosure,
            endpoint=device.endpoint,
            state=device.place_state.value,
            claimed=device.claim.enclosure if device.claim else None,
            claimed_name=device.claim.enclosure_name if device.claim else None,
            enclosure_name=device.enclosure_name,
            by=by,
        )
    )
