"""Writes the table of settings in docs/operating.md from `shoal.settings`: run it after a setting changed."""

from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from shoal.settings import Settings

PAGE = Path(__file__).parent / "operating.md"
BEGIN = "<!-- settings: written by docs/generate_settings.py -->"
END = "<!-- end of settings -->"


def table() -> str:
    """One row for each setting: its name, in the environment, its default, what it is."""
    rows = ["| Setting | In the environment | Default | What |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = _shown(field.get_default(call_default_factory=True, validated_data={}))
        rows.append(f"| `{name}` | `SHOAL_{name.upper()}` | {default} | {field.description or ''} |")
    return "\n".join(rows)


def page(before: str) -> str:
    """The page with the table that is true now."""
    head, _, rest = before.partition(BEGIN)
    tail = rest.partition(END)[2] or rest
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


def _shown(value: Any) -> str:
    if value is None or value is PydanticUndefined or value == {}:
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{part}`" for part in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
