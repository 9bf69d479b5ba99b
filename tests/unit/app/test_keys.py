"""The master key in an operator's hands: replaced, named, lost, given up."""

import shutil
from pathlib import Path

import pytest

from shoal.app import first_start, keys
from shoal.app.backup import backup, restore
from shoal.clock import FakeClock
from shoal.credentials.proofs import proofs_of
from shoal.credentials.store import Credentials
from shoal.errors import Rejected, Unavailable
from shoal.ids import DeviceId, TenantId
from shoal.inventory.device import Kind, Security
from shoal.inventory.store import Inventory
from shoal.settings import Settings
from shoal.storage import directory, sealed
from shoal.storage.database import Database
from shoal.storage.folder import DataFolder, database_url
from shoal.storage.master_key import MASTER_KEY, NEXT, MasterKey
from shoal.storage.secrets import KEY_BYTES, Vault, key_id


class Farm:
    """A stopped Shoal with devices, each with a key that we know."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tenant = TenantId("")
        self.keys: dict[DeviceId, str] = {}

    async def add(self, endpoint: str) -> DeviceId:
        database = await Database.open(database_url(self.settings.data))
        clock = FakeClock()
        inventory = Inventory(database, clock)
        self.tenant = (await first_start.any_tenant(database, inventory)).id
        vault = await keys.open_vault(database, self.settings.data, self.settings.master_key)
        async with database.transaction() as tx:
            device = await inventory.create_device(
                tx, self.tenant, endpoint=endpoint, kind=Kind.SENSOR, security=Security.PSK, enclosure=None
            )
            new = await Credentials(database, vault, clock).create(tx, self.tenant, device.id)
        await database.close()
        assert new.key is not None
        self.keys[device.id] = new.key
        return device.id

    async def start(self) -> dict[DeviceId, str]:
        """What a start reads: the keys of all devices as the gateway would see them."""
        database = await Database.open(database_url(self.settings.data))
        try:
            vault = await keys.open_vault(database, self.settings.data, self.settings.master_key)
            devices = [entry.device_id for entry in await directory.changed(database, 0, 100)]
            return {
                DeviceId(device): vault.decrypt(proof.key_encrypted, device).hex()
                for device, proofs in (await proofs_of(database, devices)).items()
                for proof in proofs
                if proof.key_encrypted is not None
            }
        finally:
            await database.close()

    async def needing_keys(self) -> set[DeviceId]:
        database = await Database.open(database_url(self.settings.data))
        try:
            found = await Credentials(database, Vault(b"x" * KEY_BYTES), FakeClock()).credentials_for(
                self.tenant, list(self.keys)
            )
            return {device for device, credentials in found.items() if any(one.needs_key for one in credentials)}
        finally:
            await database.close()

    @property
    def path(self) -> Path:
        return self.settings.data / MASTER_KEY


@pytest.fixture
async def farm(tmp_path: Path) -> Farm:
    (tmp_path / "data").mkdir()
    farm = Farm(Settings(data=tmp_path / "data"))
    await farm.add("oxy-1")
    await farm.add("oxy-2")
    return farm


async def test_the_first_start_makes_the_key_and_the_next_ones_read_it(farm: Farm) -> None:
    assert farm.path.stat().st_size == KEY_BYTES
    assert await farm.start() == farm.keys


async def test_a_new_key_opens_everything_and_the_old_one_nothing(farm: Farm) -> None:
    old = farm.path.read_bytes()

    done = await keys.rotate(farm.settings)

    # Each key stands in the credentials and in the directory of the gateway.
    assert (done.secrets, set(done.damaged), done.left_at) == (2, set(), None)
    assert done.key_id == key_id(farm.path.read_bytes()) != key_id(old)
    assert await farm.start() == farm.keys
    farm.path.write_bytes(old)
    with pytest.raises(Unavailable, match="is another key"):
        await farm.start()


async def test_an_interrupted_change_hinders_no_start_and_is_taken_up(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(sealed, "reencrypt", cut)
        with pytest.raises(KeyboardInterrupt):
            await keys.rotate(farm.settings)
    assert await farm.start() == farm.keys
    await farm.add("oxy-3")

    done = await keys.rotate(farm.settings)

    assert done.secrets == 2  # the device that came between was under the new key already
    assert await farm.start() == farm.keys
    assert not (farm.settings.data / NEXT).exists()


async def test_a_running_shoal_is_left_alone(farm: Farm) -> None:
    folder = DataFolder.open(farm.settings.data)

    for refused in (keys.rotate(farm.settings), keys.unreadable(farm.settings), keys.forget(farm.settings, "forget-2")):
        with pytest.raises(Unavailable, match="in use by process"):
            await refused
    folder.close()
    with pytest.raises(Rejected, match="there is no Shoal"):
        await keys.rotate(Settings(data=farm.settings.data / "absent"))


async def test_a_key_that_is_named_elsewhere_is_used_and_replaced_by_whoever_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "mounted"
    file.write_bytes(b"m" * KEY_BYTES)
    file.chmod(0o444)
    farm = Farm(Settings(data=tmp_path / "data", master_key=file))
    await farm.add("oxy-1")
    assert not farm.path.exists()

    done = await keys.rotate(farm.settings)

    assert done.left_at == tmp_path / "data" / NEXT
    assert await farm.start() == farm.keys
    file.chmod(0o600)
    shutil.copy(done.left_at, file)
    assert await farm.start() == farm.keys
    assert not done.left_at.exists()


async def test_a_lost_key_is_told_with_what_cannot_be_read_and_what_to_do(farm: Farm) -> None:
    wanted = key_id(farm.path.read_bytes())
    farm.path.unlink()

    with pytest.raises(Unavailable) as caught:
        await farm.start()

    assert f"{farm.path} is missing" in caught.value.reason
    assert wanted in caught.value.reason
    assert "keys of devices (2: " in caught.value.reason
    assert all(device in caught.value.reason for device in farm.keys)
    assert "shoal key forget" in caught.value.remedy
    # Nothing was made in its place: the right one may still be found.
    assert not farm.path.exists()


async def test_the_wrong_key_is_told_by_its_name(farm: Farm) -> None:
    wanted = key_id(farm.path.read_bytes())
    farm.path.write_bytes(b"w" * KEY_BYTES)

    with pytest.raises(Unavailable, match="is another key") as caught:
        await farm.start()

    assert wanted in caught.value.reason
    assert key_id(b"w" * KEY_BYTES) in caught.value.reason


async def test_what_was_lost_is_given_up_only_by_its_word(farm: Farm) -> None:
    farm.path.unlink()
    lost = await keys.unreadable(farm.settings)

    with pytest.raises(Rejected, match="forget-2"):
        await keys.forget(farm.settings, "yes")
    assert await keys.unreadable(farm.settings) == lost
    assert await keys.forget(farm.settings, keys.confirmation(lost)) == lost

    assert await farm.start() == {}
    assert await farm.needing_keys() == set(farm.keys)
    # The installation lives on, with a key of its own.
    new = await farm.add("oxy-3")
    assert await farm.start() == {new: farm.keys[new]}
    assert await farm.needing_keys() == set(farm.keys) - {new}


async def test_a_backup_finds_its_key_again_after_it_was_put_back(farm: Farm, tmp_path: Path) -> None:
    await backup(farm.settings, tmp_path / "backup")
    moved = Farm(Settings(data=tmp_path / "elsewhere"))
    await restore(moved.settings, tmp_path / "backup")
    with pytest.raises(Unavailable, match="is missing"):
        await moved.start()

    shutil.copy(farm.path, moved.path)

    assert await moved.start() == farm.keys


async def test_a_backup_in_the_middle_of_a_change_takes_both_keys(farm: Farm, tmp_path: Path) -> None:
    MasterKey(farm.settings.data).begin()

    kept = await backup(farm.settings, tmp_path / "backup", with_key=True)
    moved = Farm(Settings(data=tmp_path / "elsewhere"))
    await restore(moved.settings, tmp_path / "backup")

    assert {MASTER_KEY, NEXT} <= kept.manifest.names()
    assert await moved.start() == farm.keys
