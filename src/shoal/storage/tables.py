"""What all tables are made of: the one metadata, times, JSON and rising numbers."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Dialect, Integer, MetaData, Text
from sqlalchemy.types import TypeDecorator

# Constraints need names, or a migration cannot change them.
metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only for a column that is exactly INTEGER.
AutoId: Final = BigInteger().with_variant(Integer(), "sqlite")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Timestamp(TypeDecorator[datetime]):
    """An aware moment, kept as whole milliseconds since 1970 in UTC: sorts, compares and adds in SQL on any engine."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else milliseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else moment(value)


class Json(TypeDecorator[Any]):
    """Anything that msgspec can encode, kept as text. With a `shape` it comes back as that type, else as plain data."""

    impl = Text
    cache_ok = True

    def __init__(self, shape: Any = None) -> None:
        super().__init__()
        self.shape = shape

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        if value is None:
            return None
        return msgspec.json.decode(value) if self.shape is None else msgspec.json.decode(value, type=self.shape)


def milliseconds(value: datetime) -> int:
    """Since 1970, rounded down. A moment without a zone is a mistake: nobody knows when it is."""
    if value.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    return (value - _EPOCH) // _MILLISECOND


def moment(value: int) -> datetime:
    """The UTC moment of some milliseconds since 1970."""
    return _EPOCH + value * _MILLISECOND
