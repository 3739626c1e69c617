"""Cues of new patients, inside the training half of MIT-BIH: patients of DS1 left out in turn, no labels.

``references``: the first 8 normals of each patient left out are its references; ``raw``: none has any. DS2
is not touched: on these tables the usual cues of the ``unseen`` detector for new domains were settled. A row
is a weighted sum of cues; columns are the AUROC of each kind against normals of the patients left out, mean
over the folds (each weighed by its rows of the kind, 35 at most). The last column is what the mean over kinds
gains in all rows, over what was usual before, and its standard error over patients.

    python benchmarks/domain_cues.py references ../shared/data/mitbih --write
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "paper" / "multi_directional"))
from document import markdown, write_block
from heartbeats import KINDS, features, read_beats
from sklearn.ensemble import IsolationForest

from unseen.detectors.fused.blocks import column_blocks
from unseen.detectors.fused.gains import gain_of
from unseen.detectors.fused.novelty import (
    Blocks,
    cue_names,
    cue_values,
    fit_normals,
    fresh_neighbours,
    nearest_normals,
    own_spread,
)
from unseen.detectors.fused.scales import fit_scales
from unseen.detectors.fused.scatter import domain_factors, usual_scatter
from unseen.metrics.ranking import auroc
from unseen.references import apply_view, build_store, extend_store, reference_rows

PAGE = "decisions/0006-labels-that-never-hurt.md"
N_FOLDS, N_REFERENCES, MOST_BANK, MOST_OF_A_KIND = 5, 8, 4_000, 35
NEAREST, CENTRE, SCALED = "residual-nearest", "residual-centre", "scaled-centre"
STEADY = "residual-nearest by scatter"
BY_BLOCK = "residual-nearest by the scatter of each block"
CENTRE_BY_BLOCK = "residual-centre by the scatter of each block"
WITH_SCATTER = {STEADY: NEAREST, BY_BLOCK: NEAREST, CENTRE_BY_BLOCK: CENTRE}
BASES = {"references": "the same, by the scatter of the references", "raw": "neighbours, ¼ local"}
"""The sets that others are compared with."""

WITH_FOREST = (NEAREST, "raw")
Sets = dict[str, dict[tuple[str, str], float]]


def residual_sets() -> Sets:
    """Sets of cues of rows that are seen from references, by view and cue."""
    old = {(NEAREST, "neighbours"): 1.0, (NEAREST, "length"): 1.0}
    lengths = {(NEAREST, "length 1"): 1.0, (NEAREST, "length 2"): 1.0}
    steady = {(STEADY, cue): weight for (_view, cue), weight in {**old, **lengths}.items()}
    usual = {(BY_BLOCK, cue): weight for (_view, cue), weight in {**old, **lengths}.items()}
    centre = {(CENTRE_BY_BLOCK, cue): weight for (_view, cue), weight in usual.items()}
    return {
        "neighbours": {(NEAREST, "neighbours"): 1.0},
        "neighbours, length": old,
        "lengths of blocks": lengths,
        "neighbours, length, lengths of blocks": {**old, **lengths},
        "the same, by the scatter of the references": steady,
        "the same, by their scatter in each block": usual,
        **{
            f"{bold}these, timing as it is times {share:g}{bold}": {
                **usual,
                (BY_BLOCK, "columns 2"): 4 * share,
            }
            for share, bold in ((0.25, "**"), (0.5, ""), (1.0, ""))
        },
        "without timing, wave as it is times 0.5": {**usual, (BY_BLOCK, "columns 1"): 2.0},
        "without timing, to the centre": centre,
        "without timing, nearest and centre": {**usual, **centre},
        "covariance": {(NEAREST, "covariance"): 1.0},
        "local": {(NEAREST, "local"): 1.0},
        "isolation forest": {(NEAREST, "isolation forest"): 1.0},
        "neighbours, to the centre": {(CENTRE, "neighbours"): 1.0},
        "neighbours, scaled": {(SCALED, "neighbours"): 1.0},
        "neighbours and length of all three": {
            (view, cue): 1.0 for view in (NEAREST, CENTRE, SCALED) for cue in ("neighbours", "length")
        },
    }


def raw_sets() -> Sets:
    """Sets of cues of rows as they are."""
    near = {("raw", "neighbours"): 1.0, ("raw", "local"): 0.25}
    return {
        "neighbours, ¼ local, ½ covariance, ½ ranks": {
            **near,
            ("raw", "covariance"): 0.5,
            ("raw", "ranks"): 0.5,
        },
        "covariance, ranks": {("raw", "covariance"): 1.0, ("raw", "ranks"): 1.0},
        "neighbours": {("raw", "neighbours"): 1.0},
        "isolation forest": {("raw", "isolation forest"): 1.0},
        "neighbours, isolation forest": {("raw", "neighbours"): 1.0, ("raw", "isolation forest"): 1.0},
        "neighbours, ¼ local": near,
        **{
            f"{bold}these, timing times {share:g}{bold}": {**near, ("raw", "columns 2"): 1.25 * share}
            for share, bold in ((0.5, ""), (1.0, "**"), (3.0, ""))
        },
        "without timing, wave times 1": {**near, ("raw", "columns 1"): 1.25},
        "timing alone": {("raw", "columns 2"): 1.0},
    }


class Half:
    """The rows of DS1, and which of them are references."""

    def __init__(
        self, root: Path, seed: int, n_references: int, kinds: tuple[str, ...] = tuple(KINDS)
    ) -> None:
        table, in_ds2 = read_beats(root)
        labels = table.labels
        used = np.flatnonzero(~in_ds2 & (labels.normal | np.isin(labels.kinds, kinds)))
        normals = np.flatnonzero(~in_ds2 & labels.normal)
        self.X = features(table, normals, "doubled")[used]
        self.domains, self.kinds = labels.domains[used], labels.kinds[used]
        self.normal = labels.normal[used]
        self.references = reference_rows(self.domains, self.normal, n_references)
        names = np.unique(self.domains)
        order = np.random.default_rng(seed).permutation(len(names))
        self.fold = (order % N_FOLDS)[np.searchsorted(names, self.domains)]


def placed_cues(half: Half, fold: int, view: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the cues of the rows of a fold by a fit without its patients, and the numbers of these rows."""
    inside = half.fold != fold
    rows = np.flatnonzero(~inside & ~half.references)
    store = build_store(
        half.X[inside], half.domains[inside], half.references[inside], half.normal[inside], keep_rows=True
    ) if view != "raw" else None  # fmt: skip
    if store is None:
        V = half.X
    else:
        own = ~inside & half.references
        codes = np.zeros(half.X.shape[1], dtype=np.int64)
        if view in (BY_BLOCK, CENTRE_BY_BLOCK):
            taught = inside & half.normal & ~half.references
            codes = column_blocks(half.X[taught], half.domains[taught])
        usual = usual_scatter(store, codes)
        store = extend_store(store, half.X[own], half.domains[own], keep_rows=True)
        V = apply_view(WITH_SCATTER.get(view, view), half.X, half.domains, store)
        if view in WITH_SCATTER:
            factors = domain_factors(store, usual, codes).astype(V.dtype)
            V = V / factors[store.codes(half.domains)]
    bank = np.flatnonzero(inside & half.normal & ~half.references)
    bank = np.sort(np.random.default_rng(fold).choice(bank, min(MOST_BANK, len(bank)), replace=False))
    blocks = Blocks(column_blocks(half.X[bank], half.domains[bank]), half.X[bank])
    model = fit_normals(V[bank], own_spread(V[bank], 5), 5, blocks)
    domains = half.domains[bank]
    met = fresh_neighbours(model, V[bank], domains, domains, np.arange(len(bank)))
    ours = cue_values(model, V[bank], met, None, half.X[bank])
    theirs = cue_values(model, V[rows], nearest_normals(model, V[rows], None), None, half.X[rows])
    names = cue_names(len(model.of_blocks))
    if view in WITH_FOREST:
        forest = IsolationForest(n_estimators=100, random_state=fold).fit(V[bank])
        ours = np.column_stack([ours, -forest.score_samples(V[bank])])
        theirs = np.column_stack([theirs, -forest.score_samples(V[rows])])
        names = (*names, "isolation forest")
    return dict(zip(names, fit_scales(ours).place(theirs).T, strict=True)), rows


def areas(half: Half, rows: np.ndarray, score: np.ndarray) -> dict[str, tuple[float, int]]:
    """Return the AUROC of each kind in a fold, and its rows there."""
    kinds, normal = half.kinds[rows], half.normal[rows]
    found = {}
    for kind in KINDS:
        at = normal | (kinds == kind)
        count = int((kinds == kind).sum())
        if count >= 3:
            found[kind] = (auroc(kinds[at] == kind, score[at]), min(count, MOST_OF_A_KIND))
    return found


def row_areas(half: Half, rows: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return the share of normals below each anomaly, ties one half."""
    normals, anomalies = np.sort(score[half.normal[rows]]), score[~half.normal[rows]]
    sides = [np.searchsorted(normals, anomalies, side=side) for side in ("left", "right")]
    return np.asarray(sum(sides) / (2 * len(normals)))


def compare(options: argparse.Namespace, sets: Sets) -> list[list[str]]:
    """Return one line a set: AUROC of each kind, their mean, and the gain of their rows over a set."""
    values: dict[str, dict[str, list[tuple[float, int]]]] = defaultdict(lambda: defaultdict(list))
    below: dict[str, list[np.ndarray]] = defaultdict(list)
    kinds, domains = [], []
    views = {view for weights in sets.values() for view, _cue in weights}
    for seed in range(options.seeds):
        half = Half(options.data, seed, N_REFERENCES if options.mode == "references" else 0)
        for fold in range(N_FOLDS):
            cues: dict[str, Mapping[str, np.ndarray]] = {}
            for view in sorted(views):
                cues[view], rows = placed_cues(half, fold, view)
            for name, weights in sets.items():
                total = sum(weight * cues[view][cue] for (view, cue), weight in weights.items())
                score = np.asarray(total) / sum(weights.values())
                for kind, value in areas(half, rows, score).items():
                    values[name][kind].append(value)
                below[name].append(row_areas(half, rows, score))
            kinds.append(half.kinds[rows][~half.normal[rows]])
            domains.append(half.domains[rows][~half.normal[rows]])
            print(f"seed {seed}, fold {fold}: done", file=sys.stderr, flush=True)
    lines, base = [], np.concatenate(below[BASES[options.mode]])
    for name in sets:
        means = [
            float(np.average([a for a, _ in values[name][kind]], weights=[n for _, n in values[name][kind]]))
            for kind in KINDS
        ]
        gains, error = gain_of(
            np.concatenate(below[name]) - base, np.concatenate(kinds), np.concatenate(domains)
        )
        gain = "" if name == BASES[options.mode] else f"{np.mean(list(gains.values())):+.3f} ± {error:.3f}"
        lines.append([name, *(f"{value:.3f}" for value in means), f"{np.mean(means):.3f}", gain])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["references", "raw"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=1, help="ways to part the patients")
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    sets = residual_sets() if options.mode == "references" else raw_sets()
    text = markdown(["DS1, patients left out", *KINDS, "mean", "gain of rows"], compare(options, sets))
    print(text)
    if options.write:
        write_block(PAGE, f"domain-cues-{options.mode}", text)


if __name__ == "__main__":
    main()
