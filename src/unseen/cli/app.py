"""The ``unseen`` command: its subcommands, and what an error becomes.

Exit codes: 0 done; 2 bad usage or bad input, told in one line on stderr; 1 our fault, told in one line, with
a traceback only under ``--debug`` or ``UNSEEN_DEBUG=1``; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from unseen import __version__
from unseen.cli.adapt import adapt
from unseen.cli.demo import demo
from unseen.cli.detectors import detectors
from unseen.cli.evaluate import evaluate
from unseen.cli.export import export
from unseen.cli.fit import fit
from unseen.cli.report import report
from unseen.cli.score import score

EXIT_DONE = 0
EXIT_OUR_FAULT = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

_DEBUG_FLAG = "--debug"
_DEBUG_VARIABLE = "UNSEEN_DEBUG"


class CommandGroup(TyperGroup):
    """A group of commands that ends with our exit codes and one-line messages."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> Any:
        """Run a command line; ``--debug`` may stand anywhere in it."""
        given = list(sys.argv[1:] if args is None else args)
        debug = _DEBUG_FLAG in given or os.environ.get(_DEBUG_VARIABLE, "") not in ("", "0")
        if _DEBUG_FLAG in given:
            given = [_DEBUG_FLAG, *(item for item in given if item != _DEBUG_FLAG)]
        options["standalone_mode"] = False
        options.setdefault("prog_name", "unseen")
        try:
            result = super().main(given, *others, **options)
        except (KeyboardInterrupt, typer.Abort):
            typer.echo("unseen: interrupted.", err=True)
            sys.exit(EXIT_INTERRUPTED)
        except Exception as error:
            if debug and not _is_usage(error):
                import traceback

                traceback.print_exc()
            code, line = outcome_of(error)
            typer.echo(f"unseen: {line}", err=True)
            sys.exit(code)
        if result == EXIT_INTERRUPTED:  # how typer tells of Ctrl-C
            typer.echo("unseen: interrupted.", err=True)
        sys.exit(result if isinstance(result, int) else EXIT_DONE)


def outcome_of(error: Exception) -> tuple[int, str]:
    """Return the exit code and the one line that an exception becomes.

    Parameters
    ----------
    error : Exception
        What a command raised.

    Returns
    -------
    tuple of (int, str)
    """
    if _is_usage(error):
        return EXIT_BAD_INPUT, f"{_one_line(_usage_text(error))} ({_help_hint(error)} shows what is allowed.)"
    from unseen.errors import InputError, MissingExtraError

    if isinstance(error, (InputError, MissingExtraError)):
        return EXIT_BAD_INPUT, _one_line(str(error))
    if isinstance(error, (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)):
        return EXIT_BAD_INPUT, _one_line(f"{error.filename}: {error.strerror}.")
    if isinstance(error, OSError):
        return EXIT_OUR_FAULT, _one_line(f"the system refused: {error}")
    if isinstance(error, MemoryError):
        return EXIT_OUR_FAULT, "out of memory; give fewer rows or a smaller --batch-rows."
    what = _one_line(f"{type(error).__name__}: {error}")
    return EXIT_OUR_FAULT, f"internal error, {what} (run again with --debug to see where.)"


def _is_usage(error: Exception) -> bool:
    """Whether an exception speaks of the command line itself (typer carries its own copy of click)."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _usage_text(error: Any) -> str:
    return str(error.format_message())


def _help_hint(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context is not None else "unseen --help"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"unseen {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="unseen",
    cls=CommandGroup,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Detect kinds of anomalies nobody has labelled yet.",
)


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option(_DEBUG_FLAG, help="Show a traceback on errors (or set UNSEEN_DEBUG=1).")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for _command in (demo, fit, score, adapt, evaluate, report, detectors, export):
    app.command()(_command)


def main() -> None:
    """Run the command line of this process."""
    app()
