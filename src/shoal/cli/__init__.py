"""The command line: one module for each group of commands, and `command_line`, where all of them are found."""

from shoal.cli.command_line import main

__all__ = ["main"]
