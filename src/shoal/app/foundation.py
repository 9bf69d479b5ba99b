"""What every process of Shoal stands on: its settings, its folder, the database, the log, the keys."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from shoal.app import keys
from shoal.clock import Clock, SystemClock
from shoal.errors import Rejected
from shoal.lwm2m.dataplane import decompress
from shoal.lwm2m.objects import Objects, known_objects, load_objects
from shoal.settings import Settings
from shoal.storage.database import Database
from shoal.storage.folder import DataFolder
from shoal.storage.secrets import Vault
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.kafka import KafkaConfig, KafkaLog
from shoal.stream.log import Log


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """Open, and closed by the stack that it was opened with."""

    settings: Settings
    objects: Objects
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
            Rejected: roles as processes of their own without PostgreSQL and Kafka; `fresh` with a shared database; an
                object definition that is none.
        """
        clock = SystemClock()
        if not is_whole:
            _check_shared(settings)
        objects = known_objects() if settings.objects is None else load_objects(settings.objects)
        folder = DataFolder.open(settings.data, is_shared=not is_whole)
        opened.callback(folder.close)
        if fresh:
            if settings.postgres is not None:
                raise Rejected("fresh", "it deletes what is in the data folder, and the database is not there")
            folder.forget()
        database = await (Database.open(settings.database_url) if is_whole else Database.join(settings.database_url))
        opened.push_async_callback(database.close)
        vault = await keys.open_vault(database, folder.path, settings.master_key)
        stream = _log(settings, folder.path, clock)
        opened.push_async_callback(stream.close)
        await stream.start()
        return cls(
            settings=settings,
            objects=objects,
            folder=folder.path,
            database=database,
            stream=stream,
            vault=vault,
            clock=clock,
        )


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
