"""Options that several commands have, spelled and explained in one place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unseen.data import ColumnRoles

KindColumn = Annotated[
    str | None,
    typer.Option("--kind-column", "-k", help="Column with the kind of each row; empty cells are unlabelled."),
]
Normal = Annotated[str, typer.Option("--normal", help="Kind name(s) that mean normal, separated by commas.")]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", help="Column with 0 (normal), 1 (anomaly), -1 or empty.")
]
DomainColumn = Annotated[
    str | None,
    typer.Option("--domain-column", help="Column that names the sort of normal (machine, patient, network)."),
]
GroupColumn = Annotated[
    str | None, typer.Option("--group-column", help="Rows with equal values here are never split.")
]
Ignore = Annotated[str, typer.Option("--ignore", help="Columns that are not features, separated by commas.")]
Categorical = Annotated[
    str, typer.Option("--categorical", help="Columns to read as text even if they hold numbers, by commas.")
]
Encoding = Annotated[str, typer.Option("--encoding", help="Character encoding of text files.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random choice.")]
FalseAlarmRate = Annotated[
    float, typer.Option("--false-alarm-rate", help="Share of normals that may be flagged, in (0, 1).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Model directory that `unseen fit` wrote.")]
NReferences = Annotated[
    int,
    typer.Option("--n-references", min=1, help="Normals of each training domain that serve as references."),
]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout", help="Pictures: mvtec, visa, btad, folders, flat, nested, ...; recognised by default."
    ),
]
ImageSize = Annotated[
    int, typer.Option("--image-size", min=16, help="Pictures: bring them to this side, in pixels.")
]


def refuse_given(context: typer.Context, names: Sequence[str], why: str) -> None:
    """Raise ParameterError if one of some options was given on the command line.

    Parameters
    ----------
    context : typer.Context
        Of the command.
    names : sequence of str
        Names of the command's parameters that do not apply.
    why : str
        What they do not apply to; begins the message.
    """
    from unseen.errors import ParameterError

    spelled = [
        max(item.opts, key=len)
        for item in context.command.params
        if item.name in names and given(context, str(item.name))
    ]
    if spelled:
        raise ParameterError(f"{why}: {', '.join(spelled)} does not apply; leave it out.")


def given(context: typer.Context, name: str) -> bool:
    """Return whether an option was given, rather than left at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name not in ("DEFAULT", "DEFAULT_MAP")


OF_PICTURES_TO_EVALUATE = ("source", "textures", "image_size", "layout", "cache")


def one_table(context: typer.Context, files: Sequence[str] | None) -> str | None:
    """Return the one FILE of an evaluation of tables, or raise ParameterError.

    Parameters
    ----------
    context : typer.Context
        Of the command; options of pictures must not be given.
    files : sequence of str or None
        The arguments.

    Returns
    -------
    str or None
        None if there is none.
    """
    from unseen.errors import ParameterError

    if files and len(files) > 1:
        raise ParameterError(
            f"give one FILE, got {len(files)}; several tables are one folder or a glob in quotes."
        )
    refuse_given(
        context, OF_PICTURES_TO_EVALUATE, f"{files[0] if files else 'this'} is no folder of pictures"
    )
    return files[0] if files else None


def names(text: str) -> tuple[str, ...]:
    """Split a comma-separated list, leaving empty parts out."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def column_roles(
    *,
    kind: str | None = None,
    normal: str = "normal",
    label: str | None = None,
    domain: str | None = None,
    group: str | None = None,
    ignore: str | Sequence[str] = (),
    categorical: str = "",
) -> ColumnRoles:
    """Return the column roles that the options name.

    Parameters
    ----------
    kind, label, domain, group : str or None
        Column names.
    normal, categorical : str
        Comma-separated.
    ignore : str or sequence of str
        Comma-separated, or names.

    Returns
    -------
    ColumnRoles
    """
    from unseen.data import ColumnRoles

    return ColumnRoles(
        kind=kind,
        normal=names(normal),
        label=label,
        domain=domain,
        group=group,
        ignore=names(ignore) if isinstance(ignore, str) else tuple(ignore),
        categorical=names(categorical),
    )


def whole_numbers(option: str, text: str) -> list[int]:
    """Return comma-separated whole numbers >= 0, or raise ParameterError.

    Parameters
    ----------
    option : str
        The option's name, for the message.
    text : str
        What was given.

    Returns
    -------
    list of int
    """
    parts = names(text)
    if not parts or not all(part.isdecimal() for part in parts):
        raise _not_numbers(option, "whole numbers >= 0, for instance 10 or 0,10", text)
    return list(dict.fromkeys(int(part) for part in parts))


def shares(option: str, text: str) -> list[float]:
    """Return comma-separated numbers in [0, 1), or raise ParameterError.

    Parameters
    ----------
    option : str
        The option's name, for the message.
    text : str
        What was given.

    Returns
    -------
    list of float
    """
    try:
        values = [float(part) for part in names(text)]
    except ValueError:
        values = []
    if not values or not all(0 <= value < 1 for value in values):
        raise _not_numbers(option, "numbers in [0, 1), for instance 0 or 0,.1", text)
    return list(dict.fromkeys(values))


def _not_numbers(option: str, allowed: str, text: str) -> Exception:
    from unseen.errors import ParameterError

    return ParameterError(f"{option} must be {allowed}, got {text!r}.")
