"""Markdown from result rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from document import markdown, spread

from unseen.evaluation import ResultRow

METRICS = {"precision": "P", "recall": "R", "auroc": "AUROC", "f1": "F1"}
ROLES = ("held-out", "known")
OURS = "multi-directional-meta"


def means(rows: Sequence[ResultRow], kinds: Sequence[str]) -> str:
    """Return AUROC per held-out kind, their mean, the worst kind, and the mean over known kinds."""
    lines = []
    for detector in _detectors(rows):
        own = [row for row in rows if row["detector"] == detector]
        held = {kind: [r["auroc"] for r in own if _is(r, kind, "held-out")] for kind in kinds}
        worst = min(kinds, key=lambda kind: float(np.mean(held[kind])))
        lines.append(
            [
                _name(detector),
                *(spread(held[kind], 3) for kind in kinds),
                *(spread(_per_seed(own, role, kinds), 3) for role in ROLES),
                worst,
            ]
        )
    lines.sort(key=lambda line: -float(line[1 + len(kinds)].strip("*").split()[0]))
    return markdown(["AUROC", *kinds, "mean held out", "mean known", "worst"], lines)


def per_kind(rows: Sequence[ResultRow], kinds: Sequence[str]) -> str:
    """Return a table a kind: precision, recall, AUROC and F1, held out and known, at one threshold."""
    blocks = []
    for kind in kinds:
        lines = []
        for detector in _detectors(rows):
            cells = []
            for role in ROLES:
                found = [r for r in rows if r["detector"] == detector and _is(r, kind, role)]
                for metric in METRICS:
                    cells.append(spread([r[metric] for r in found], 2) if found else "")  # type: ignore[literal-required]
            lines.append([_name(detector), *cells])
        header = [kind, *(f"{label}, {role}" for role in ROLES for label in METRICS.values())]
        blocks.append(markdown(header, lines))
    return "\n\n".join(blocks)


def _per_seed(rows: Sequence[ResultRow], role: str, kinds: Sequence[str]) -> list[float]:
    """Mean over kinds for each seed; every kind weighs the same."""
    found: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["role"] == role and row["kind"] in kinds:
            found[row["seed"]][row["kind"]].append(row["auroc"])
    return [float(np.mean([np.mean(v) for v in of_kind.values()])) for of_kind in found.values()]


def _is(row: ResultRow, kind: str, role: str) -> bool:
    return row["kind"] == kind and row["role"] == role


def _detectors(rows: Sequence[ResultRow]) -> list[str]:
    names = dict.fromkeys(row["detector"] for row in rows)
    return sorted(names, key=lambda name: name != OURS)


def _name(detector: str) -> str:
    return f"**{detector}**" if detector == OURS else detector
