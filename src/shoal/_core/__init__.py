"""The Rust core, as Python sees it. Only `shoal.lwm2m` may import it.

A package, because import-linter cannot see a bare extension module. What each name means stands in `_native.pyi`.
"""

from shoal._core._native import (
    Answer,
    Batch,
    DeviceConfig,
    DeviceCredential,
    DeviceEntry,
    DeviceHost,
    DeviceOccurrence,
    Gateway,
    ObjectDefinitions,
    RegistrationState,
    RestoredRegistration,
    decompress,
)

__all__ = [
    "Answer",
    "Batch",
    "DeviceConfig",
    "DeviceCredential",
    "DeviceEntry",
    "DeviceHost",
    "DeviceOccurrence",
    "Gateway",
    "ObjectDefinitions",
    "RegistrationState",
    "RestoredRegistration",
    "decompress",
]
