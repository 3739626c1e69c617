"""``unseen adapt``: a model and a few normals of a new place in, a model for that place out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unseen.cli import options
from unseen.cli.console import say


def adapt(
    model: options.Model,
    references: Annotated[
        str,
        typer.Argument(metavar="REFERENCES", help="Table file, folder or glob of rows known to be normal."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model directory to write.")],
    domain_column: options.DomainColumn = None,
) -> None:
    """Condition a model on reference normals of new domains; nothing is trained again."""
    from unseen.cli.score import adapt_to, load_table_model
    from unseen.persistence import load, save

    fitted = load_table_model(load(model), model)
    save(adapt_to(fitted, references, domain_column, quiet=False), out)
    say(f"wrote {out}")
