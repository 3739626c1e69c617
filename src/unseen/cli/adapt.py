"""``unseen adapt``: a model and a few normals of a new place in, a model for that place out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.cli import options
from unseen.cli.console import say

if TYPE_CHECKING:
    from unseen.pipeline import TableModel


def adapt(
    context: typer.Context,
    model: options.Model,
    references: Annotated[
        str,
        typer.Argument(
            metavar="REFERENCES", help="Rows known to be normal: table file, folder, glob; or good pictures."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model directory to write.")],
    domain_column: options.DomainColumn = None,
    encoding: options.Encoding = "utf-8",
    layout: options.Layout = None,
) -> None:
    """Condition a model on reference normals of new domains; nothing is trained again."""
    from unseen.cli.score import adapt_to, matching_model
    from unseen.persistence import check_place, load, save
    from unseen.pipeline import ImageModel

    check_place(out)
    fitted = matching_model(load(model), model, references)
    adapted: ImageModel | TableModel
    if isinstance(fitted, ImageModel):
        from unseen.cli.image_commands import adapt_to_folder

        options.refuse_given(context, ("domain_column", "encoding"), f"{references} holds pictures")
        adapted = adapt_to_folder(fitted, references, layout, quiet=False)
    else:
        options.refuse_given(context, ("layout",), f"{references} is no folder of pictures")
        adapted = adapt_to(fitted, references, domain_column, encoding, quiet=False)
    save(adapted, out)
    say(f"wrote {out}")
