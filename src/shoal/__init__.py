"""Shoal: device management for farms. Rooms and the direction between them: docs/architecture.md."""

__version__ = "0.1.0"
