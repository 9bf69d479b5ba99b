"""Prints the schema that the pages' client is generated from: `python -m shoal.bff.openapi`."""

import json
import sys
from pathlib import Path

import httpx
from pydantic import JsonValue

from shoal.bff.application import create_application
from shoal.clock import SystemClock


def schema() -> dict[str, JsonValue]:
    """The BFF's OpenAPI 3.1 document."""
    application = create_application(httpx.AsyncClient(), Path(), secret=b"", clock=SystemClock())
    return application.openapi()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2, sort_keys=True) + "\n")
