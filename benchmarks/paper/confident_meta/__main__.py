"""The tables of confident contrastive meta-learning, measured.

::

    python benchmarks/paper/confident_meta sources    ../shared/data/images --write
    python benchmarks/paper/confident_meta images     ../shared/data/images --write
    python benchmarks/paper/confident_meta ablation   ../shared/data/images --write
    python benchmarks/paper/confident_meta alone      ../shared/data/images --write
    python benchmarks/paper/confident_meta adaptation ../shared/data/images --write
    python benchmarks/paper/confident_meta patients   ../shared/data/mitbih --write
    python benchmarks/paper/confident_meta heartbeats ../shared/data/mitbih --write

``--write`` renews the block of the same name in ``docs/methods/confident_meta.md``. Runs go on where an
earlier one with the same ``--out`` stopped (``--seconds`` stops one); features are computed once
(``--features``). ``sources`` and ``patients`` touch no test file: settings are chosen by them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import numpy as np
from adaptation import adaptation
from document import write_block
from features import CATEGORIES
from heartbeats import heartbeats, patients
from pictures import (
    ABLATION,
    ALONE,
    CHOICES,
    MAIN,
    RIVALS,
    columns_of,
    run,
    table,
)
from worlds import CHOOSING_TEXTURES, TEXTURE_TARGETS

PAGE = "methods/confident_meta.md"
ONE = ("cookie",)
TIMED = ("as is (κ = 1.5, first order)", "second order", "without meta-learning (pooled)")
TWO = ("cookie", "magnetic tile")


def _images(options: argparse.Namespace) -> str:
    """Categories left out in turn, beside rivals."""
    rows = {**MAIN, **{name: {} for name in RIVALS}}
    targets = options.targets or (*CATEGORIES, *TEXTURE_TARGETS)
    return table(run(options, rows, targets), list(rows), columns_of(targets))


def _sources(options: argparse.Namespace) -> str:
    """What settings were chosen by: training pictures of left-out sources with made-up defects."""
    targets = options.targets or (*CATEGORIES, *CHOOSING_TEXTURES)
    results = run(options, CHOICES, targets, choosing=True)
    textures = tuple(name for name in targets if name not in CATEGORIES)
    columns = {name: (name,) for name in targets if name in CATEGORIES}
    if textures:
        columns[f"{len(textures)} texture classes"] = textures
    return table(results, list(CHOICES), columns, ("zero-shot", "5"))


def _ablation(options: argparse.Namespace) -> str:
    """Each part left out in turn."""
    targets = options.targets or TWO
    results = run(options, ABLATION, targets)
    text = table(results, list(ABLATION), columns_of(targets), ("zero-shot", "5"))
    d = np.array([item["uncertainty"] for item in results if item.get("uncertainty")])
    if not len(d):
        return text
    return (
        f"{text} Means of d over an epoch lie between {d.min():.3f} and {d.max():.3f} in all these trainings."
    )


def _alone(options: argparse.Namespace) -> str:
    """The discriminator without the length as a start: κ, order, parts and sources."""
    targets = options.targets or ONE
    results = run(options, ALONE, targets)
    return f"{table(results, list(ALONE), columns_of(targets), ('zero-shot', '5'))} {_times(results)}"


def _times(results: list[dict[str, Any]]) -> str:
    parts = []
    for row in TIMED:
        times = [item["fit_s"] for item in results if item["row"] == row and "fit_s" in item]
        parts.append(f"{row} {np.median(times):.1f} s")
    return f"Median processor time of a training: {', '.join(parts)}."


COMMANDS: dict[str, Callable[[argparse.Namespace], str]] = {
    "sources": _sources,
    "images": _images,
    "ablation": _ablation,
    "alone": _alone,
    "adaptation": adaptation,
    "patients": patients,
    "heartbeats": heartbeats,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in COMMANDS.items():
        command = commands.add_parser(name, help=(function.__doc__ or "").splitlines()[0])
        command.add_argument("data", type=Path)
        command.add_argument("--targets", type=lambda text: tuple(text.split(",")), default=None)
        command.add_argument("--first-seed", type=int, default=0)
        command.add_argument("--seeds", type=int, default=1 if name in ("sources", "patients") else 3)
        command.add_argument("--seconds", type=float, default=float("inf"), help="start nothing after this")
        command.add_argument("--pictures", type=int, default=20, help="normals of a source category")
        command.add_argument("--features", type=Path, default=Path("out/confident_meta/features"))
        command.add_argument("--out", type=Path, default=Path("out/confident_meta") / f"{name}.jsonl")
        command.add_argument("--write", action="store_true", help="renew the block in docs")
    options = parser.parse_args()
    text = COMMANDS[options.command](options)
    print(text)
    if options.write:
        write_block(PAGE, options.command, text)


if __name__ == "__main__":
    main()
