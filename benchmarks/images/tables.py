"""Tables of the image benchmarks from their files of results, for the documentation."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "paper"))

from document import markdown, write_block

__all__ = ["few_shot_table", "markdown", "selection_table", "transfer_table", "write_block"]

FIGURES = ("image_auroc", "pixel_auroc", "pro")
_SEEDS = 3


def cell(rows: Sequence[Mapping[str, Any]]) -> str:
    """Mean image AUROC, pixel AUROC and PRO over seeds, and of how many seeds where it is not three."""
    if not rows:
        return ""
    means = [float(np.mean([row[name] for row in rows])) for name in FIGURES]
    text = " / ".join(f"{value:.3f}".removeprefix("0") for value in means)
    complete = len(rows) == _SEEDS or rows[0].get("references") == "all"
    return text if complete else f"{text} ({len(rows)})"


def few_shot_table(rows: Sequence[Mapping[str, Any]], names: Sequence[str], counts: Sequence[str]) -> str:
    """One line a number of references and detector, one column a category."""
    categories = list(dict.fromkeys(row["category"] for row in rows))
    lines = []
    for count in counts:
        for name in names:
            some = [row for row in rows if row["references"] == count and row["detector"] == name]
            if some:
                found = [cell([row for row in some if row["category"] == other]) for other in categories]
                lines.append([count, name, *found])
    return markdown(["references", "detector", *(name.replace("_", " ") for name in categories)], lines)


def transfer_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a number of references and detector, one column a target."""
    targets = [row for row in rows if row["stage"] == "target"]
    names = list(dict.fromkeys(row["detector"] for row in targets))
    return few_shot_table(targets, names, ("2", "4", "8"))


def selection_table(rows: Sequence[Mapping[str, Any]], stage: str = "selection") -> str:
    """One line a learning rate, one column a part of the source that was left out."""
    tried = [row for row in rows if row["stage"] == stage]
    parts = list(dict.fromkeys(row["category"] for row in tried))
    lines = []
    for lr in dict.fromkeys(row["lr"] for row in tried):
        some = {row["category"]: row for row in tried if row["lr"] == lr}
        figures = [
            f"{some[part]['image_auroc']:.3f} / {some[part]['pixel_auroc']:.3f}"
            for part in parts
            if part in some
        ]
        mean = np.mean([(row["image_auroc"] + row["pixel_auroc"]) / 2 for row in some.values()])
        lines.append([f"{lr:g}" if lr else "no training", *figures, f"{mean:.4f}"])
    return markdown(["learning rate", *(part.replace("_", " ") for part in parts), "mean"], lines)
