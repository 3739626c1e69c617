"""The tables and figures of the multi-directional meta-learning paper, measured.

::

    python benchmarks/paper/multi_directional nsl-kdd     ../shared/data/nsl_kdd
    python benchmarks/paper/multi_directional cic-ids2017 ../shared/data/cic_ids2017/flows_stratified.parquet
    python benchmarks/paper/multi_directional mit-bih     ../shared/data/mitbih --references 0,4,8,32,128
    python benchmarks/paper/multi_directional ablation    ../shared/data/nsl_kdd
    python benchmarks/paper/multi_directional curves      ../shared/data/nsl_kdd
    python benchmarks/paper/multi_directional episodes    ../shared/data/nsl_kdd
    python benchmarks/paper/multi_directional latent      ../shared/data/nsl_kdd
    python benchmarks/paper/multi_directional speed       ../shared/data/nsl_kdd

``--write`` renews the block of the same name in ``docs/methods/multi_directional_meta.md``; the figures are
written there in any case. Evaluations go on where an earlier run with the same ``--out`` stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ablation import ablation
from curves import curves
from document import write_block
from flows import NSL_KINDS, cic_ids2017, nsl_kdd
from heartbeats import mit_bih
from pictures import episodes, latent
from speed import speed

from unseen.detectors import DETECTORS
from unseen.detectors.meta_parameters import ENCODERS

PAGE = "methods/multi_directional_meta.md"
COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], str], int]] = {
    "nsl-kdd": (nsl_kdd, 10),
    "cic-ids2017": (cic_ids2017, 10),
    "mit-bih": (mit_bih, 50),
    "ablation": (ablation, 10),
    "curves": (curves, 10),
    "episodes": (episodes, 10),
    "latent": (latent, 10),
    "speed": (speed, 10),
}
"""Name → what runs, and labelled rows a known kind."""


def _names(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (run, shots) in COMMANDS.items():
        command = commands.add_parser(name, help=(run.__doc__ or "").splitlines()[0])
        command.add_argument("data", type=Path)
        command.add_argument("--detectors", type=_names, default=list(DETECTORS))
        command.add_argument("--shots", type=int, default=shots)
        command.add_argument("--seeds", type=int, default=3)
        command.add_argument("--jobs", type=int, default=None)
        command.add_argument("--out", type=Path, default=Path("out/multi_directional") / name)
        command.add_argument("--write", nargs="?", const=name, metavar="BLOCK", help="renew a block in docs")
        if name == "mit-bih":
            command.add_argument("--references", type=_numbers, default=[0, 4, 8, 32, 128])
            command.add_argument("--timing", choices=["doubled", "intervals"], default="doubled")
            command.add_argument("--encoder", choices=ENCODERS, default="mlp")
            command.add_argument("--trees", type=int, default=0, help="labelled trees in the fused score")
        if name == "ablation":
            command.add_argument("--kinds", type=_names, default=list(NSL_KINDS))
            command.add_argument("--inner-steps", type=int, default=50)
        if name == "curves":
            command.add_argument("--kinds", type=_names, default=list(NSL_KINDS))
            command.add_argument("--inner-steps", type=int, default=15)
        if name == "speed":
            command.add_argument("--threads", type=int, default=2)
            command.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    text = COMMANDS[options.command][0](options)
    print(text)
    if options.write:
        write_block(PAGE, options.write, text)


if __name__ == "__main__":
    main()
