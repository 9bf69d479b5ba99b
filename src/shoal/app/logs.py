"""How logs look: a line a fact, `12:03:04.512 warning worker.waits group=health reason="..."`, on standard error."""

import json
import logging
from datetime import UTC, datetime
from typing import Final

# What every record has by itself; the rest are the facts that the caller gave.
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class FactFormatter(logging.Formatter):
    """Writes a dotted name and its facts, so that both people and programs can read it."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        facts = "".join(f" {name}={_shown(value)}" for name, value in vars(record).items() if name not in _OWN)
        line = f"{at}Z {record.levelname.lower()} {record.getMessage()}{facts}"
        if record.exc_info:
            line += f"\n{self.formatException(record.exc_info)}"
        return line


def set_up(level: str) -> None:
    """Makes all logs of this process look like that."""
    handler = logging.StreamHandler()
    handler.setFormatter(FactFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Others' chatter: a line for each request or migration is nobody's business.
    for name in ("httpx", "httpcore", "alembic", "aiosqlite", "asyncio", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _shown(value: object) -> str:
    text = str(value)
    if text and all(character.isprintable() and character not in ' "=' for character in text):
        return text
    return json.dumps(text, ensure_ascii=False)
