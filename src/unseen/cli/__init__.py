"""The command line: one file a command, heavy imports inside the commands so that ``--help`` is quick."""

from unseen.cli.app import app, main

__all__ = ["app", "main"]
