"""Tables of the image benchmarks from their files of results, for the documentation."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parents[1] / "paper"))

from document import markdown, write_block

__all__ = [
    "few_shot_table",
    "margin_table",
    "markdown",
    "selection_table",
    "source_means",
    "transfer_table",
    "write_block",
]

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


def source_means(
    rows: Sequence[Mapping[str, Any]], stage: str = "selection"
) -> dict[tuple[str, float], float]:
    """Mean of image and pixel AUROC of each row and learning rate over what was left out of the sources."""
    found: dict[tuple[str, float], list[float]] = {}
    for row in rows:
        if row["stage"] == stage:
            mean = (row["image_auroc"] + row["pixel_auroc"]) / 2
            found.setdefault((row["detector"], row["lr"]), []).append(mean)
    return {key: float(np.mean(means)) for key, means in found.items()}


def selection_table(rows: Sequence[Mapping[str, Any]], stage: str = "selection") -> str:
    """One line a row and learning rate, one column a part of the source that was left out."""
    tried = [row for row in rows if row["stage"] == stage]
    parts = list(dict.fromkeys(row["category"] for row in tried))
    lines = []
    for (name, lr), mean in source_means(rows, stage).items():
        some = [row for row in tried if row["detector"] == name and row["lr"] == lr]
        figures = []
        for part in parts:
            of_part = [row for row in some if row["category"] == part]
            image, pixel = (np.mean([row[figure] for row in of_part]) for figure in FIGURES[:2])
            figures.append(f"{image:.3f} / {pixel:.3f}".replace("0.", "."))
        lines.append([name, f"{lr:g}" if lr else "", *figures, f"{mean:.4f}".removeprefix("0")])
    head = ["on the sources", "learning rate", *(part.replace("_", " ") for part in parts), "mean"]
    return markdown(head, lines)


def margin_table(rows: Sequence[Mapping[str, Any]], candidates: Sequence[str], rivals: Sequence[str]) -> str:
    """How far candidates are above the best rival in the mean over targets; the sources' choice is bold."""
    targets = [row for row in rows if row["stage"] == "target"]
    means = source_means(rows)
    chosen, _ = max(means, key=means.__getitem__)
    lines = []
    for count in dict.fromkeys(row["references"] for row in targets):
        names = (*candidates, *rivals)
        found = {name: figures for name in names if len(figures := over_targets(targets, name, count))}
        values = np.array([found[rival] for rival in rivals])
        best = values.max(axis=0)
        named = zip(values.argmax(axis=0), best, strict=True)
        lines.append(
            [count, "best rival", *(f"{rivals[i]} {value:.3f}".replace("0.", ".") for i, value in named)]
        )
        for name in (name for name in candidates if name in found):
            margins = [f"{value:+.3f}".replace("0.", ".") for value in found[name] - best]
            lines.append([count, f"**{name}**" if name == chosen else name, *margins])
    return markdown(
        ["references", "row, above the best rival", "image AUROC", "pixel AUROC", "their mean"], lines
    )


def over_targets(targets: Sequence[Mapping[str, Any]], name: str, count: str) -> NDArray[np.float64]:
    """Image AUROC, pixel AUROC and their mean, over seeds and targets; empty, if a target is missing."""
    some = [row for row in targets if row["detector"] == name and row["references"] == count]
    categories = list(dict.fromkeys(row["category"] for row in targets))
    if {row["category"] for row in some} != set(categories):
        return np.empty(0)
    of_each = [
        [np.mean([row[figure] for row in some if row["category"] == category]) for figure in FIGURES[:2]]
        for category in categories
    ]
    image, pixel = np.mean(of_each, axis=0)
    return np.array([image, pixel, (image + pixel) / 2])
