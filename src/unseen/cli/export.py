"""``unseen export``: a model of pictures in, one ONNX file out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unseen.cli import options
from unseen.cli.console import say


def export(
    model: options.Model,
    out: Annotated[Path, typer.Option("--out", "-o", help="ONNX file to write.")],
    domain: Annotated[str, typer.Option("--domain", help="Whose references the file holds.")] = "",
    input_size: Annotated[
        str | None,
        typer.Option(
            "--input-size", help="HEIGHTxWIDTH of the pictures that it takes; the model's own if left out."
        ),
    ] = None,
) -> None:
    """Write a model of pictures as ONNX: uint8 pictures of one size in, scores and maps out."""
    from unseen.errors import InputError
    from unseen.persistence import export_onnx, load

    fitted = load(model)
    detector: Any = getattr(fitted, "detector", fitted)
    known = getattr(detector, "domain_memories_", {})
    if domain and domain not in known:
        raise InputError(f"--domain must be one of {sorted(known)}, got {domain!r}.")
    written = export_onnx(detector, out, domain=domain, input_size=_size(input_size))
    say(f"wrote {written}")


def _size(text: str | None) -> tuple[int, int] | None:
    from unseen.errors import ParameterError

    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.strip().isdecimal() for side in sides):
        raise ParameterError(f"--input-size must be HEIGHTxWIDTH, for instance 480x640, got {text!r}.")
    return int(sides[0]), int(sides[1])
