"""From result rows to the tables of the comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from document import markdown, spread

from unseen.evaluation import ResultRow

Found = Mapping[tuple[str, int], list[ResultRow]]
"""(data set, labels of each known kind) → rows."""


def held_out_tables(found: Found, detectors: Sequence[str]) -> str:
    """Return a table a data set and number of labels: AUROC a kind left out, means, recall, times."""
    return "\n\n".join(
        f"**{name}, {shots} labels of each known kind**\n\n{_held_out(rows, detectors)}"
        for (name, shots), rows in found.items()
    )


def _held_out(rows: list[ResultRow], detectors: Sequence[str]) -> str:
    kinds = list(dict.fromkeys(row["kind"] for row in rows if row["role"] == "held-out"))
    lines = []
    for detector in _measured(rows, detectors):
        mine = [row for row in rows if row["detector"] == detector]
        out = [row for row in mine if row["role"] == "held-out"]
        known = [row for row in mine if row["role"] == "known"]
        per_kind = [[row["auroc"] for row in out if row["kind"] == kind] for kind in kinds]
        lines.append(
            (
                -float(np.mean([row["auroc"] for row in out])),
                [
                    f"**{detector}**" if detector.startswith("unseen") else detector,
                    *(f"{np.mean(values):.3f}" for values in per_kind),
                    _seed_mean(out, lambda row: row["auroc"]),
                    f"{min(np.mean(values) for values in per_kind):.3f}",
                    _seed_mean(known, lambda row: row["auroc"]) if known else "",
                    f"{np.mean([row['average_precision'] for row in out]):.3f}",
                    f"{np.mean([row['recall_at_false_alarm_rate'] for row in out]):.3f}",
                    f"{np.mean([row['observed_false_alarm_rate'] for row in out]):.3f}",
                    *_times(mine),
                ],
            )
        )
    header = [
        "AUROC", *kinds, "mean left out", "worst kind", "mean known", "AP left out", "recall left out at 1 %",
        "false alarms", "fit s", "µs a row",
    ]  # fmt: skip
    return markdown(header, [line for _, line in sorted(lines, key=lambda pair: pair[0])])


def _measured(rows: Sequence[ResultRow], detectors: Sequence[str]) -> list[str]:
    """Return the detectors that there are rows of."""
    there = {row["detector"] for row in rows}
    return [name for name in detectors if name in there]


def known_tables(found: Found, detectors: Sequence[str]) -> str:
    """Return, for each number of labels, AUROC a data set and detector, and a summary."""
    texts = []
    for shots in dict.fromkeys(shots for _, shots in found):
        mine = {name: rows for (name, count), rows in found.items() if count == shots}
        names = _measured(next(iter(mine.values())), detectors)
        texts.append(f"**{shots} labelled anomalies: AUROC**\n\n{_known(mine, names)}")
        texts.append(f"**{shots} labelled anomalies: means over the sets**\n\n{_summary(mine, names)}")
    return "\n\n".join(texts)


def _known(found: Mapping[str, list[ResultRow]], detectors: Sequence[str]) -> str:
    mean = {
        (name, detector): float(np.mean([row["auroc"] for row in rows if row["detector"] == detector]))
        for name, rows in found.items()
        for detector in detectors
    }
    overall = {detector: float(np.mean([mean[name, detector] for name in found])) for detector in detectors}
    order = sorted(detectors, key=lambda detector: -overall[detector])
    lines = [
        [
            f"**{detector}**" if detector.startswith("unseen") else detector,
            *(f"{mean[name, detector]:.3f}" for name in found),
            f"{overall[detector]:.3f}",
        ]
        for detector in order
    ]
    return markdown(["", *found, "mean"], lines)


def _summary(found: Mapping[str, list[ResultRow]], detectors: Sequence[str]) -> str:
    lines = []
    for detector in detectors:
        rows = [row for mine in found.values() for row in mine if row["detector"] == detector]
        best = {
            name: max(
                np.mean([row["auroc"] for row in mine if row["detector"] == other]) for other in detectors
            )
            for name, mine in found.items()
        }
        behind = [
            best[name] - np.mean([row["auroc"] for row in mine if row["detector"] == detector])
            for name, mine in found.items()
        ]
        lines.append(
            (
                -float(np.mean([row["auroc"] for row in rows])),
                [
                    f"**{detector}**" if detector.startswith("unseen") else detector,
                    _seed_mean(rows, lambda row: row["auroc"]),
                    _seed_mean(rows, lambda row: row["average_precision"]),
                    _seed_mean(rows, lambda row: row["recall_at_false_alarm_rate"]),
                    f"{np.mean([row['observed_false_alarm_rate'] for row in rows]):.3f}",
                    f"{max(behind):.3f}",
                    *_times(rows),
                ],
            )
        )
    header = [
        "", "AUROC", "AP", "recall at 1 %", "false alarms", "farthest behind the best", "fit s", "µs a row",
    ]  # fmt: skip
    return markdown(header, [line for _, line in sorted(lines, key=lambda pair: pair[0])])


def _seed_mean(rows: Sequence[ResultRow], value: Callable[[ResultRow], float]) -> str:
    seeds = sorted({row["seed"] for row in rows})
    return spread([float(np.mean([value(row) for row in rows if row["seed"] == seed])) for seed in seeds], 3)


def _times(rows: Sequence[ResultRow]) -> list[str]:
    fit = np.mean([row["fit_seconds"] for row in rows])
    score = np.mean([row["score_seconds"] / row["n_scored"] for row in rows])
    return [f"{fit:.1f}", f"{1e6 * score:.0f}"]
