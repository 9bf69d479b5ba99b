"""`python -m shoal.cli`."""

from shoal.cli.command_line import main

main()
