"""Learners whose log-odds may be the source of the wide term in new domains, beside trees.

Used by ``domain_evidence.py``. Linear ones look at the cues and at columns as they are: those of small blocks
(the timing of a heartbeat), all, or none. Networks are the mean of three. Rows of a side weigh the same, and
so does each kind among the anomalies, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from unseen.detectors import CORAL, DevNet
from unseen.detectors.base import BaseDetector
from unseen.detectors.fused import training
from unseen.detectors.fused.evidence import Evidence, evidence_of, learn_labels
from unseen.detectors.fused.novelty import nearest_normals
from unseen.detectors.fused.rounds import Options, Round, TrainingRows
from unseen.detectors.fused.taught import TaughtNormals, cues_of_round, few_columns

N_MEMBERS = 3
PENALTY = 0.03
RARE = "Q"
"""A kind of a handful of rows of few patients."""

Score = Callable[["Seen"], np.ndarray]
NAMES = {
    "linear": "linear, timing and cues",
    "without rare": f"the same, no {RARE} among the labels",
    "rows alike": "the same, each labelled row weighs the same",
    "cues alone": "linear, cues alone",
    "all columns": "linear, all columns and cues",
    "few network": "network, timing and cues",
    "network": "network, all columns and cues",
    "coral": "CORAL, all columns",
    "dev-net": "DevNet, all columns",
}


@dataclass(frozen=True)
class Seen:
    """Rows as a fit without them sees them: in the view, their placed cues, as they are."""

    rows: np.ndarray
    placed: np.ndarray
    unviewed: np.ndarray

    def numbers(self, columns: np.ndarray) -> np.ndarray:
        """Return some columns as they are, and the cues."""
        return np.concatenate([self.unviewed[:, columns], self.placed], axis=1)


def judged_rows(
    rows: TrainingRows, found: Round, mine: np.ndarray, placed: np.ndarray, options: Options
) -> Seen:
    """Return the held-back normals of a round and the anomalies that are judged."""
    held = training._thinned_held(found, options)[0]
    return Seen(
        np.concatenate([rows.normals[held], rows.anomalies[mine]]),
        placed,
        np.concatenate([rows.unviewed_normals[held], rows.unviewed_anomalies[mine]]),
    )


def trees_say(
    rows: TrainingRows,
    found: Round,
    taught: np.ndarray,
    normals: TaughtNormals,
    options: Options,
    seen: Seen,
) -> Evidence:
    """Return what trees of both sorts, grown on the rows of a round that stayed, say about others."""
    labelled = learn_labels(
        (rows.normals[normals.rows], normals.placed),
        (rows.anomalies[taught], cues_of_round(rows, found, taught, normals)),
        rows.kinds[taught],
        n_trees=training._ROUND_TREES,
        seed=options.seed,
        n_jobs=1,
        boosted=True,
    )
    nearest = nearest_normals(found.normals, seen.rows, None)[0][:, 0]
    return evidence_of(labelled, seen.rows, seen.placed, nearest, found.normals.usual)


def learners(
    rows: TrainingRows, found: Round, taught: np.ndarray, taught_normals: TaughtNormals, options: Options
) -> dict[str, Score]:
    """Fit all learners on the rows of a round that stayed."""
    chosen = taught_normals.rows
    normals = Seen(rows.normals[chosen], taught_normals.placed, rows.unviewed_normals[chosen])
    placed = cues_of_round(rows, found, taught, taught_normals)
    anomalies = Seen(rows.anomalies[taught], placed, rows.unviewed_anomalies[taught])
    kinds, common = rows.kinds[taught], rows.kinds[taught] != RARE
    few, every = few_columns(found.normals), np.arange(rows.normals.shape[1])
    some = Seen(anomalies.rows[common], anomalies.placed[common], anomalies.unviewed[common])
    fitted = {
        "linear": linear(normals, anomalies, by_kind(kinds), few),
        "without rare": linear(normals, some, by_kind(kinds[common]), few),
        "rows alike": linear(normals, anomalies, np.full(len(kinds), 1 / len(kinds)), few),
        "cues alone": linear(normals, anomalies, by_kind(kinds), few[:0]),
        "all columns": linear(normals, anomalies, by_kind(kinds), every),
    }
    plain = {"coral_weight": 0.0, "epochs": 8, "lr": 2e-3}
    networks: dict[str, tuple[type[BaseDetector], dict[str, float], Score]] = {
        "few network": (CORAL, plain, lambda seen: seen.numbers(few)),
        "network": (CORAL, plain, lambda seen: seen.numbers(every)),
        "coral": (CORAL, {}, lambda seen: seen.rows),
        "dev-net": (DevNet, {}, lambda seen: seen.rows),
    }
    domains = np.concatenate([rows.normal_domains[chosen], rows.anomaly_domains[taught]])
    for name, (cls, settings, inputs) in networks.items():
        fitted[name] = _networks(cls, settings, inputs, (normals, anomalies), kinds, domains, options.seed)
    return fitted


def by_kind(kinds: np.ndarray) -> np.ndarray:
    """Return weights by which every kind weighs the same."""
    _names, codes, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (counts[codes] * len(counts)))


def linear(normals: Seen, anomalies: Seen, weights: np.ndarray, columns: np.ndarray) -> Score:
    """Logistic regression with a ridge on ``asinh(3 (x − m) / s) / 3``, m and s those of the normals."""
    numbers = [seen.numbers(columns) for seen in (normals, anomalies)]
    centre, spread = numbers[0].mean(axis=0), np.maximum(numbers[0].std(axis=0), 1e-6)

    def inputs(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.arcsinh(3 * (values - centre) / spread) / 3)

    y = np.arange(len(numbers[0]) + len(weights)) >= len(numbers[0])
    every = np.concatenate([np.full(len(numbers[0]), 0.5 / len(numbers[0])), weights / 2])
    model = LogisticRegression(C=1 / PENALTY, solver="newton-cholesky", tol=1e-8)
    model.fit(inputs(np.concatenate(numbers)), y, sample_weight=every)
    return lambda seen: np.asarray(model.decision_function(inputs(seen.numbers(columns))))


def _networks(
    cls: type[BaseDetector],
    settings: dict[str, float],
    inputs: Score,
    taught: tuple[Seen, Seen],
    kinds: np.ndarray,
    domains: np.ndarray,
    seed: int,
) -> Score:
    """Mean score of some networks of one sort."""
    X = np.concatenate([inputs(seen) for seen in taught]).astype(np.float32)
    named = np.concatenate([np.full(len(X) - len(kinds), "normal"), kinds])
    y = (named != "normal").astype(int)
    members = [
        cls(**settings, seed=seed * N_MEMBERS + member, calibration_fraction=0, device="cpu").fit(
            X, y, kinds=named, domains=domains
        )
        for member in range(N_MEMBERS)
    ]
    return lambda seen: np.mean(
        [member.decision_function(inputs(seen).astype(np.float32)) for member in members], axis=0
    )
