"""The tables of confident contrastive meta-learning, measured.

::

    python benchmarks/paper/confident_meta images     ../shared/data/images --write
    python benchmarks/paper/confident_meta ablation   ../shared/data/images --write
    python benchmarks/paper/confident_meta kappa      ../shared/data/images --write
    python benchmarks/paper/confident_meta no-mvtec   ../shared/data/images --write
    python benchmarks/paper/confident_meta adaptation ../shared/data/images --write
    python benchmarks/paper/confident_meta heartbeats ../shared/data/mitbih --write

``--write`` renews the block of the same name in ``docs/methods/confident_meta.md``. Runs go on where an
earlier one with the same ``--out`` stopped; features are computed once (``--features``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from adaptation import adaptation
from document import write_block
from features import CATEGORIES
from heartbeats import heartbeats
from pictures import ABLATION, KAPPAS, MAIN, RIVALS, WITHOUT_MVTEC, costs, run, table

PAGE = "methods/confident_meta.md"


def _images(options: argparse.Namespace) -> str:
    """Categories left out in turn, beside rivals."""
    rows = {**MAIN, **{name: {} for name in RIVALS}}
    results = run(options, rows)
    return f"{table(results, list(rows))}\n\n{costs(results)}"


def _ablation(options: argparse.Namespace) -> str:
    """Each part left out in turn."""
    return table(run(options, ABLATION), list(ABLATION))


def _kappa(options: argparse.Namespace) -> str:
    """How much the fence matters."""
    return table(run(options, KAPPAS), list(KAPPAS))


def _no_mvtec(options: argparse.Namespace) -> str:
    """Training with and without the MVTec category."""
    return table(run(options, WITHOUT_MVTEC), list(WITHOUT_MVTEC))


COMMANDS: dict[str, Callable[[argparse.Namespace], str]] = {
    "images": _images,
    "ablation": _ablation,
    "kappa": _kappa,
    "no-mvtec": _no_mvtec,
    "adaptation": adaptation,
    "heartbeats": heartbeats,
}


def _names(text: str) -> list[str]:
    return text.split(",")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function in COMMANDS.items():
        command = commands.add_parser(name, help=(function.__doc__ or "").splitlines()[0])
        command.add_argument("data", type=Path)
        command.add_argument("--targets", type=_names, default=list(CATEGORIES))
        command.add_argument("--rows", type=lambda text: text.split(";"), default=None, help="a;b")
        command.add_argument("--first-seed", type=int, default=0)
        command.add_argument("--seeds", type=int, default=3)
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
