"""All secrets in the database at once, wherever a table has a column of type `Secret`: counted, re-encrypted, given up."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Delete, LargeBinary, Table, Update, delete, func, select, update
from sqlalchemy.sql.expression import ColumnElement

from shoal.errors import Unavailable
from shoal.storage.database import Database, metadata
from shoal.storage.secrets import HEAD_BYTES, Secret, Vault, key_id_of_head

# Re-encrypted in one transaction: a few milliseconds, so that an interruption loses next to nothing.
ROWS_PER_ROUND_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Sealed:
    """Secrets of one kind: what they are, of whom, and under which keys."""

    says: str
    contexts: frozenset[str]
    key_ids: frozenset[str]

    def __str__(self) -> str:
        names = sorted(self.contexts)
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"{self.says} ({len(names)}: {', '.join(names[:3])}{more})"


async def unreadable(database: Database, vault: Vault | None) -> list[Sealed]:
    """What was encrypted under other keys than the vault's; all secrets when there is none. One entry for each kind."""
    found: dict[str, Sealed] = {}
    for table, column in _columns():
        kind = _kind(column)
        query = select(table.c[kind.context], _head(column)).where(_is_foreign(column, vault)).distinct()
        async with database.reading() as connection:
            rows = (await connection.execute(query)).all()
        if rows:
            before = found.get(kind.says, Sealed(kind.says, frozenset(), frozenset()))
            found[kind.says] = Sealed(
                kind.says,
                before.contexts | {str(row[0]) for row in rows},
                before.key_ids | {key_id_of_head(row[1]) for row in rows},
            )
    return list(found.values())


async def reencrypt(database: Database, vault: Vault) -> tuple[int, set[str]]:
    """Puts every secret under the vault's first key; how many, and whose were damaged and so were given up.

    What is under that key already is passed over: an interrupted call is taken up by the next one.
    """
    total, damaged = 0, set[str]()
    for table, column in _columns():
        after: tuple[object, ...] | None = None
        while rows := await _under_another_key(database, vault, table, column, after):
            after = tuple(rows[-1][2:])
            async with database.transaction() as tx:
                for secret, context, *key in rows:
                    row = [*_is(table, key), column == secret]
                    try:
                        new = vault.encrypt(vault.decrypt(secret, context), context)
                    except Unavailable:
                        # No key opens it; left as it is, it would look as if its key were missing.
                        damaged.add(str(context))
                        await tx.execute(_given_up(table, column).where(*row))
                        continue
                    done = await tx.execute(update(table).where(*row).values({column: new}))
                    total += done.rowcount
    return total, damaged


async def give_up(database: Database, vault: Vault | None) -> None:
    """Drops what was encrypted under other keys than the vault's, in one transaction: who owned it needs a new one."""
    async with database.transaction() as tx:
        for table, column in _columns():
            await tx.execute(_given_up(table, column).where(_is_foreign(column, vault)))


async def _under_another_key(
    database: Database, vault: Vault, table: Table, column: Column[Any], after: tuple[object, ...] | None
) -> list[Any]:
    """The next rows in the order of their primary key: the secret, its context, the key."""
    keys = list(table.primary_key.columns)
    query = (
        select(column, table.c[_kind(column).context], *keys)
        .where(_head(column).in_(vault.heads[1:]))
        .order_by(*keys)
        .limit(ROWS_PER_ROUND_MAX)
    )
    if after is not None:
        assert len(keys) == 1, table.name  # noqa: S101  # of those that hold secrets
        query = query.where(keys[0] > after[0])
    async with database.reading() as connection:
        return list((await connection.execute(query)).all())


def _given_up(table: Table, column: Column[Any]) -> Update | Delete:
    return update(table).values({column: None}) if column.nullable else delete(table)


def _columns() -> Iterator[tuple[Table, Column[Any]]]:
    for table in metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, Secret):
                yield table, column


def _kind(column: Column[Any]) -> Secret:
    assert isinstance(column.type, Secret)  # noqa: S101  # that is how they are found
    return column.type


def _head(column: Column[Any]) -> ColumnElement[bytes]:
    return func.substr(column, 1, HEAD_BYTES, type_=LargeBinary)


def _is_foreign(column: Column[Any], vault: Vault | None) -> ColumnElement[bool]:
    is_there = column.is_not(None)
    return is_there if vault is None else is_there & _head(column).not_in(vault.heads)


def _is(table: Table, key: list[Any]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in zip(table.primary_key.columns, key, strict=True)]
