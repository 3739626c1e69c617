"""Which few numbers' log-odds may speak everywhere in new domains, inside the training half of MIT-BIH.

Patients of DS1 are left out a third at a time. Up to 50 beats of each kind of the *others* are labelled, and
all of Q, which has eight. *Known*: the kinds of the rows that are judged are among the labels. *Left out*:
each kind is judged by a fit whose labels are of the other kinds. Columns are what a wide term changes in the
AUROC of each kind, and the mean with its standard error over patients. With references log-odds are also
taken in units of the references of each patient: less a share of their median over its first 8 normals, each
seen from the seven others. DS2 is not touched.

    python benchmarks/domain_signs.py raw ../shared/data/mitbih --write
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "paper" / "multi_directional"))
from document import markdown, write_block

from domain_cues import Half
from domain_evidence import KINDS, N_REFERENCES, PAGE, SHOTS, as_training_rows, in_units, viewed
from domain_learners import RARE, Seen, by_kind, linear
from unseen.detectors.fused import training
from unseen.detectors.fused.blocks import small_blocks
from unseen.detectors.fused.choice import weights_of
from unseen.detectors.fused.common_signs import SeenRows, learn_signs
from unseen.detectors.fused.cue_choice import candidate_weights
from unseen.detectors.fused.evidence import learn_labels, tree_features
from unseen.detectors.fused.gains import below, gain_of
from unseen.detectors.fused.novelty import cue_names, cue_values, fresh_neighbours, own_spread
from unseen.detectors.fused.rounds import Options, Round, TrainingRows, rounds_of
from unseen.detectors.fused.scatter import domain_factors
from unseen.detectors.fused.taught import few_columns, normals_of_round

MOST_NORMALS, MOST_JUDGED = 8_000, 200
STRENGTHS = (0.1, 0.25, 0.5, 1.0)
WITH_RARE = f"network, {RARE} among the labels"
LEARNERS = ("network", WITH_RARE, "linear", "randomised trees", "boosted trees")
SHARES = (0.5, 1.0)
"""Of the references' median that is taken off."""


@dataclass(frozen=True)
class OwnNormals:
    """The references of all patients, each seen from the others of its patient."""

    seen: Seen
    domains: np.ndarray


def rows_of(root: Path, seed: int, *, references: bool) -> tuple[TrainingRows, OwnNormals]:
    """Return normals and all anomalies of DS1, and the references."""
    half = Half(root, seed, N_REFERENCES, (*KINDS, RARE))
    draw = np.random.default_rng(seed)
    normals = draw.permutation(np.flatnonzero(half.normal & ~half.references))[:MOST_NORMALS]
    normals, anomalies = np.sort(normals), np.flatnonzero(~half.normal)
    own, V = np.flatnonzero(half.references), half.X
    apart = half.X[own]
    if references:
        V, store, detector = viewed(half)
        factors = domain_factors(store, detector.scatter_, detector.blocks_)
        apart = from_the_others(half.X[own], half.domains[own]) / factors[store.codes(half.domains[own])]
    rows = as_training_rows(half, V, normals, anomalies)
    seen = Seen(apart.astype(V.dtype), np.zeros(0), half.X[own])
    return rows, OwnNormals(seen, half.domains[own])


def from_the_others(X: np.ndarray, domains: np.ndarray) -> np.ndarray:
    """Return each row less the nearest other one of its domain."""
    out = np.empty_like(X)
    for name in np.unique(domains):
        own = X[domains == name].astype(np.float64)
        apart = ((own[:, None] - own[None]) ** 2).sum(axis=2)
        np.fill_diagonal(apart, np.inf)
        out[domains == name] = own - own[apart.argmin(axis=1)]
    return out


def drawn(rows: TrainingRows, among: np.ndarray, most: int, draw: np.random.Generator) -> np.ndarray:
    """Return the numbers of some anomalies of each kind."""
    kinds = [draw.permutation(np.flatnonzero(among & (rows.kinds == kind)))[:most] for kind in (*KINDS, RARE)]
    return np.sort(np.concatenate(kinds))


@dataclass(frozen=True)
class Asked:
    """A round: who teaches, who is judged, and the placed cues of all of them."""

    found: Round
    taught: np.ndarray
    judged: np.ndarray
    normals: Seen
    anomalies: Seen
    held: Seen
    held_domains: np.ndarray
    shown: Seen
    own: OwnNormals


def asked(rows: TrainingRows, own: OwnNormals, found: Round, number: int, options: Options) -> Asked:
    """Draw labels and judged rows of a round and place their cues."""
    draw = np.random.default_rng(10 * options.seed + number)
    here = np.isin(rows.anomaly_domains, rows.normal_domains[found.held])
    taught, judged = drawn(rows, ~here, SHOTS, draw), drawn(rows, here, MOST_JUDGED, draw)
    normals = normals_of_round(rows, found, options)

    def placed(V: np.ndarray, domains: np.ndarray, unviewed: np.ndarray) -> np.ndarray:
        nowhere = np.full(len(V), -1)
        near = fresh_neighbours(found.normals, V, domains, normals.bank_domains, nowhere)
        return found.scales.place(cue_values(found.normals, V, near, None, unviewed))

    def anomalies(at: np.ndarray) -> Seen:
        V, unviewed = rows.anomalies[at], rows.unviewed_anomalies[at]
        return Seen(V, placed(V, rows.anomaly_domains[at], unviewed), unviewed)

    held, at = training._thinned_held(found, options)
    mine = np.isin(own.domains, rows.normal_domains[found.held])
    V, unviewed = own.seen.rows[mine], own.seen.unviewed[mine]
    return Asked(
        found,
        taught,
        judged,
        Seen(rows.normals[normals.rows], normals.placed, rows.unviewed_normals[normals.rows]),
        anomalies(taught),
        Seen(rows.normals[held], found.scales.place(found.values[at]), rows.unviewed_normals[held]),
        rows.normal_domains[held],
        anomalies(judged),
        OwnNormals(Seen(V, placed(V, own.domains[mine], unviewed), unviewed), own.domains[mine]),
    )


def log_odds(
    rows: TrainingRows, item: Asked, left_out: str, options: Options
) -> Iterator[tuple[str, tuple[np.ndarray, ...]]]:
    """Yield each learner and its log-odds of held-back normals, judged anomalies and references."""
    kinds, few = rows.kinds[item.taught], few_columns(item.found.normals)
    others, parts = kinds != left_out, (item.held, item.shown, item.own.seen)
    plain = SeenRows(item.normals.unviewed, item.normals.placed)
    for name, teach in (("network", others & (kinds != RARE)), (WITH_RARE, others)):
        few_rows = SeenRows(item.anomalies.unviewed[teach], item.anomalies.placed[teach])
        signs = learn_signs(plain, few_rows, kinds[teach], few, options.seed)
        yield name, tuple(signs.log_odds(seen.unviewed, seen.placed) for seen in parts)
    teach = others & (kinds != RARE)
    some = Seen(item.anomalies.rows[teach], item.anomalies.placed[teach], item.anomalies.unviewed[teach])
    score = linear(item.normals, some, by_kind(kinds[teach]), few)
    yield "linear", tuple(score(seen) for seen in parts)
    settings = {"n_trees": training._ROUND_TREES, "seed": options.seed, "n_jobs": 1}
    sides = [(seen.rows, seen.placed) for seen in (item.normals, some)]
    labelled = learn_labels(sides[0], sides[1], kinds[teach], boosted=True, **settings)
    features = [tree_features(seen.rows, seen.placed) for seen in parts]
    shares = [np.clip(labelled.forest.probability(part), 1e-3, 1 - 1e-3) for part in features]
    yield "randomised trees", tuple(np.log(share / (1 - share)) for share in shares)
    assert labelled.boosted is not None
    yield "boosted trees", tuple(np.clip(labelled.boosted.log_odds(part), -9, 9) for part in features)


def variants(rows: TrainingRows, item: Asked, left_out: str, options: Options, *, references: bool) -> dict:
    """Return the log-odds of held-back normals and judged anomalies, in units of the normals."""
    said = dict(log_odds(rows, item, left_out, options))
    mine = rows.anomaly_domains[item.judged]

    def units(held: np.ndarray, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y = np.arange(len(held) + len(shown)) >= len(held)
        both = in_units(np.concatenate([held, shown]), y)
        return both[~y], both[y]

    found = {name: units(said[name][0], said[name][1]) for name in LEARNERS}
    pairs = [(found["network"][i], found["linear"][i]) for i in range(2)]
    found["mean of network and linear"] = tuple(np.mean(pair, axis=0) for pair in pairs)
    found["least of network and linear"] = tuple(np.min(pair, axis=0) for pair in pairs)
    for name in ("network", "linear", "boosted trees") if references else ():
        held, shown, own = said[name]
        for share in SHARES:
            moved = [
                odds - share * medians(own, item.own.domains, domains)
                for odds, domains in ((held, item.held_domains), (shown, mine))
            ]
            found[f"{name}, less {share:g} of the references"] = units(*moved)
    return found


def medians(own: np.ndarray, own_domains: np.ndarray, domains: np.ndarray) -> np.ndarray:
    """Return the median log-odds of the references of each row's domain."""
    names = np.unique(own_domains)
    of = np.array([np.median(own[own_domains == name]) for name in names])
    return np.asarray(of[np.searchsorted(names, domains)])


def compare(options: argparse.Namespace) -> list[list[str]]:
    """Return one line for no labels, and one for each variant and strength."""
    gains: dict[tuple[str, float, str], list[np.ndarray]] = defaultdict(list)
    facts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    base: dict[str, list[float]] = defaultdict(list)
    references = options.mode == "references"
    for seed in range(options.seeds):
        settings = Options(n_neighbours=5, n_trees=60, seed=seed, n_jobs=1, labels="guarded")
        rows, own = rows_of(options.data, seed, references=references)
        blocks = training._blocks(rows, residual=references)
        assert blocks is not None
        names = cue_names(int(blocks.codes.max()) + 1)
        sets = candidate_weights(names, residual=references, small=small_blocks(blocks.codes))
        weights = weights_of(next(iter(sets.values())), names)
        for number, found in enumerate(rounds_of(rows, own_spread(rows.normals, 5), blocks, settings)):
            item = asked(rows, own, found, number, settings)
            held, shown = item.held.placed @ weights, item.shown.placed @ weights
            kinds, domains = rows.kinds[item.judged], rows.anomaly_domains[item.judged]
            plain = below(held, shown)
            for kind in KINDS:
                base[kind] += plain[kinds == kind].tolist()
            for left_out in ("", *KINDS):
                mine, setting = np.isin(kinds, left_out or KINDS), "left out" if left_out else "known"
                facts[setting].append((kinds[mine], domains[mine]))
                said = variants(rows, item, left_out, settings, references=references)
                for name, (of_held, of_shown) in said.items():
                    for strength in STRENGTHS:
                        high, own_high = (strength * np.logaddexp(0, odds) for odds in (of_held, of_shown))
                        raised = below(held + high, (shown + own_high)[mine]) - plain[mine]
                        gains[name, strength, setting].append(raised)
        print(f"seed {seed}: done", file=sys.stderr, flush=True)
    known = {setting: [np.concatenate(part) for part in zip(*f, strict=True)] for setting, f in facts.items()}
    areas = [float(np.mean(base[kind])) for kind in KINDS]
    lines = [["no labels", *[f"{value:.3f}" for value in (*areas, np.mean(areas))] * 2]]
    for name, strength in dict.fromkeys((name, strength) for name, strength, _setting in gains):
        cells = [f"{name}, {strength:g}"]
        for setting in ("known", "left out"):
            own_gains, error = gain_of(np.concatenate(gains[name, strength, setting]), *known[setting])
            cells += [f"{own_gains[kind]:+.3f}" for kind in KINDS]
            cells.append(f"{np.mean(list(own_gains.values())):+.3f} ± {error:.3f}")
        lines.append(cells)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["references", "raw"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=6, help="ways to part the patients and draw labels")
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    settings = [f"{setting} {kind}" for setting in ("known", "left out") for kind in (*KINDS, "mean")]
    text = markdown(["DS1, patients left out", *settings], compare(options))
    print(text)
    if options.write:
        write_block(PAGE, f"domain-signs-{options.mode}", text)


if __name__ == "__main__":
    main()
