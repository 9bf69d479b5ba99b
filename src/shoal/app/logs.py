"""How logs look: a line a fact, `12:03:04.512 warning worker.waits group=health reason="..."`, on standard error.

Or, for programs, the same as one JSON object a line. Whatever is logged while an HTTP request is answered names it.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from shoal import tracing
from shoal.http_exchange import request_id

Format: TypeAlias = Literal["text", "json"]

# What every record has by itself; the rest are the facts that the caller gave.
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class FactFormatter(logging.Formatter):
    """Writes a dotted name and its facts, so that both people and programs can read it."""

    def format(self, record: logging.LogRecord) -> str:
        facts = "".join(f" {name}={_shown(value)}" for name, value in _facts(record).items())
        line = f"{_at(record)} {record.levelname.lower()} {record.getMessage()}{facts}"
        if record.exc_info:
            line += f"\n{self.formatException(record.exc_info)}"
        return line


class JsonFormatter(logging.Formatter):
    """Writes the same as one JSON object: `time`, `level` and `event`, then the facts, and `exception` if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        own = {"time": _at(record), "level": record.levelname.lower(), "event": record.getMessage()}
        if record.exc_info:
            own["exception"] = self.formatException(record.exc_info)
        facts = {name: _plain(value) for name, value in _facts(record).items()}
        return json.dumps(own | {name: value for name, value in facts.items() if name not in own}, ensure_ascii=False)


def set_up(level: str, form: Format = "text") -> None:
    """Makes all logs of this process look like that."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else FactFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Others' chatter: a line for each request or migration is nobody's business.
    for name in ("httpx", "httpcore", "alembic", "aiosqlite", "asyncio", "uvicorn", "urllib3", "python_multipart"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _facts(record: logging.LogRecord) -> dict[str, object]:
    """What the caller gave, and what it belongs to."""
    facts = {name: value for name, value in vars(record).items() if name not in _OWN}
    if (request := request_id()) is not None:
        facts["request"] = request
    if (traced := tracing.carried()) is not None:
        facts["trace"] = traced.split("-")[1]
    return facts


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _shown(value: object) -> str:
    text = str(value)
    if text and all(character.isprintable() and character not in ' "=' for character in text):
        return text
    return json.dumps(text, ensure_ascii=False)
