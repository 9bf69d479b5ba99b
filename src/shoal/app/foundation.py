"""What every process of Shoal stands on: its settings, its folder, the database, the log, the keys."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shoal.clock import Clock, SystemClock
from shoal.errors import Rejected
from shoal.lwm2m.dataplane import decompress
from shoal.settings import Settings
from shoal.storage.database import Database
from shoal.storage.folder import DATABASE, DataFolder, database_url
from shoal.storage.secrets import Vault
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.kafka import KafkaConfig, KafkaLog
from shoal.stream.log import Log

# What `--fresh` deletes, and only where a database of ours says that the folder is ours: it may be somebody's home. The
# databases go last, so that a deletion that was interrupted is taken up by the next one.
OURS: Final = ("master.key", "artifacts", "demo*.json", "spool.db*", "log.db*", f"{DATABASE}*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """Open, and closed by the stack that it was opened with."""

    settings: Settings
    folder: Path
    database: Database
    stream: Log
    vault: Vault
    clock: Clock

    @classmethod
    async def open(
        cls, settings: Settings, opened: contextlib.AsyncExitStack, *, is_whole: bool, fresh: bool = False
    ) -> "Foundation":
        """Opens all of it. `is_whole`: this process is all of Shoal, and so brings the tables up to date by itself.

        Raises:
            Unavailable: a neighbour is away, the folder is in use, or the tables are of another version.
            Rejected: roles as processes of their own without PostgreSQL and Kafka; `fresh` with a shared database.
        """
        clock = SystemClock()
        if not is_whole:
            _check_shared(settings)
        folder = DataFolder.open(settings.data, is_shared=not is_whole)
        opened.callback(folder.close)
        if fresh:
            if settings.database is not None:
                raise Rejected("fresh", "it deletes what is in the data folder, and the database is not there")
            forget(folder.path)
        url = url_of(settings)
        database = await (Database.open(url) if is_whole else Database.join(url))
        opened.push_async_callback(database.close)
        vault = Vault.open(folder.path, settings.master_key)
        stream = _log(settings, folder.path, clock)
        opened.push_async_callback(stream.close)
        await stream.start()
        return cls(settings=settings, folder=folder.path, database=database, stream=stream, vault=vault, clock=clock)


def url_of(settings: Settings) -> str:
    """Where the database is."""
    return settings.database_url or database_url(settings.data)


def forget(folder: Path) -> None:
    """Deletes what Shoal made in the folder, and nothing else."""
    if not any(folder.glob(f"{DATABASE}*")):
        return
    for pattern in OURS:
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _check_shared(settings: Settings) -> None:
    missing = [name for name in ("database", "kafka") if getattr(settings, name) is None]
    if missing:
        raise Rejected(
            missing[0], "roles that are processes of their own share PostgreSQL and Kafka: name both, or use `shoal up`"
        )


def _log(settings: Settings, folder: Path, clock: Clock) -> Log:
    if settings.kafka is None:
        return EmbeddedLog(folder, partitions=settings.partitions, decompress=decompress, clock=clock)
    config = KafkaConfig(
        servers=settings.kafka,
        partitions=settings.partitions,
        replication=settings.kafka_replication,
        options=settings.kafka_options,
    )
    return KafkaLog(config, decompress=decompress)
