"""By which rule a fit should choose how loudly common signs speak in new domains, inside MIT-BIH's DS1.

A third of the patients of DS1 is left out of whole fits of the detector, which choose on their own patients
as they always do; labels are 50 beats of each kind and all of Q. *Known*: all kinds are labelled. *Left out*:
one kind is not, and is judged. Columns are what the wide term of the strength that a rule chooses changes in
the AUROC of each kind, the mean with its standard error over patients, and the strengths that are chosen. DS2
is not touched.

    python benchmarks/domain_sign_rules.py ../shared/data/mitbih --write
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "paper" / "multi_directional"))
from document import markdown, write_block

from domain_cues import Half
from domain_evidence import KINDS, N_REFERENCES, PAGE, SHOTS
from domain_learners import RARE
from unseen.detectors import UnseenDetector
from unseen.detectors.fused import training
from unseen.detectors.fused.choice import LEAST_ROWS, TOLERANCE, LeftOut, Strengths, _areas
from unseen.detectors.fused.gains import below, gain_of
from unseen.detectors.fused.mode import Mode, score_parts

STRENGTHS = (0.1, 0.25, 0.5)
MODES = ("no references", "8 references")
N_FOLDS, MOST_NORMALS, MOST_JUDGED, N_TREES = 3, 4_500, 200, 10
Inside = dict[str, list]
"""For each strength what kinds left out inside the fit gain: mean, its error, and both for each kind."""


def asked(rounds: list[LeftOut], deciding: np.ndarray) -> list[LeftOut]:
    """Return the rounds that decide."""
    return [
        item
        for item in rounds
        if item.y.sum() >= LEAST_ROWS and item.kind in deciding and item.log_odds.any()
    ]


def facts_of(gains: np.ndarray, kinds: np.ndarray, domains: np.ndarray) -> list:
    """Return the mean gain, its error, and both for each kind."""
    means, error = gain_of(gains, kinds, domains)
    each = [[means[k], gain_of(gains[kinds == k], kinds[kinds == k], domains[kinds == k])[1]] for k in means]
    return [float(np.mean(list(means.values()))), error, each]


def inside(rounds: list[LeftOut], weights: np.ndarray, deciding: np.ndarray) -> Inside:
    """Return what kinds left out in the rounds of a fit gain by each strength."""
    judged = asked(rounds, deciding)
    if not judged:
        return {}
    kinds = np.concatenate([np.full(int(item.y.sum()), item.kind) for item in judged])
    domains = np.concatenate([item.domains[item.y] for item in judged])
    plain = _areas(judged, weights, 0.0)
    return {
        str(strength): facts_of(_areas(judged, weights, strength) - plain, kinds, domains)
        for strength in STRENGTHS
    }


@dataclass(frozen=True)
class Fit:
    """A fit on two thirds of the patients: its rounds for both modes, and the rows of the others."""

    half: Half
    plain: UnseenDetector
    adapted: UnseenDetector
    seen: list[tuple[list[LeftOut], np.ndarray, np.ndarray]]
    outside: np.ndarray


def fitted(root: Path, seed: int, fold: int, left_out: str) -> Fit:
    """Fit once."""
    half = Half(root, seed, N_REFERENCES, (*KINDS, RARE))
    names, draw = np.unique(half.domains), np.random.default_rng(10 * seed + fold)
    order = np.random.default_rng(seed).permutation(len(names))
    within = (order % N_FOLDS)[np.searchsorted(names, half.domains)] != fold
    normals = np.flatnonzero(within & half.normal)
    marked = half.references[normals]
    some = draw.permutation(normals[~marked])[:MOST_NORMALS]
    few = {k: draw.permutation(np.flatnonzero(within & (half.kinds == k)))[:SHOTS] for k in (*KINDS, RARE)}
    taught = [rows for kind, rows in few.items() if kind != left_out]
    rows = np.sort(np.concatenate([normals[marked], some, *taught]))
    seen: list[tuple[list[LeftOut], np.ndarray, np.ndarray]] = []

    def watched(rounds: list[LeftOut], weights: np.ndarray, *, deciding: np.ndarray) -> Strengths:
        seen.append((rounds, weights, deciding))
        return Strengths(0.0, max(STRENGTHS), (), np.zeros(0), np.zeros(0))

    detector = UnseenDetector(calibration_fraction=0, seed=seed, n_jobs=1, n_trees=N_TREES)
    with mock.patch.object(training, "choose_strengths", watched):
        kinds = np.where(half.normal[rows], "normal", half.kinds[rows])
        detector.fit(half.X[rows], (kinds != "normal").astype(int), kinds=kinds, domains=half.domains[rows])
    references = np.flatnonzero(~within & half.references)
    adapted = detector.adapt(half.X[references], domains=half.domains[references])
    return Fit(half, detector, adapted, seen, np.flatnonzero(~within & ~half.references))


def fits(options: argparse.Namespace, seed: int, fold: int, left_out: str) -> list[dict]:
    """Fit once; return for both modes what the fit saw, and what the patients left out gain."""
    fit = fitted(options.data, seed, fold, left_out)
    pairs = zip((fit.plain, fit.adapted), fit.seen, strict=True)
    return [gains_outside(model, fit, left_out) | {"inside": inside(*found)} for model, found in pairs]


@dataclass(frozen=True)
class Outside:
    """Rows of patients left out: which are normal, which are judged, and what a model says about them."""

    normal: np.ndarray
    judged: np.ndarray
    kinds: np.ndarray
    domains: np.ndarray
    novelty: np.ndarray
    log_odds: np.ndarray
    local: np.ndarray
    mode: Mode

    @property
    def facts(self) -> dict:
        """Kinds and domains of the judged rows."""
        return {"kinds": self.kinds[self.judged].tolist(), "domains": self.domains[self.judged].tolist()}

    def areas(self, score: np.ndarray) -> np.ndarray:
        """Return the share of normals below each judged row."""
        return below(score[self.normal], score[self.judged])


def outside(model: UnseenDetector, fit: Fit, left_out: str) -> Outside:
    """Score the patients left out."""
    half, rows = fit.half, fit.outside
    (batch,) = model._batches(half.X[rows], half.domains[rows])
    parts = score_parts(batch.mode, batch.V, batch.own, batch.unviewed)
    assert batch.mode.signs is not None
    assert parts.evidence is not None
    odds = batch.mode.signs.log_odds(half.X[rows], parts.placed)
    normal, kinds = half.normal[rows], half.kinds[rows]
    draw, judged = np.random.default_rng(0), []
    for kind in (left_out,) if left_out else KINDS:
        own = np.flatnonzero(kinds == kind)
        judged.append(draw.permutation(own)[:MOST_JUDGED] if len(own) >= LEAST_ROWS else own[:0])
    novelty = parts.novelty * batch.mode.unit
    at, domains = np.concatenate(judged), half.domains[rows]
    return Outside(normal, at, kinds, domains, novelty, odds, parts.evidence.local, batch.mode)


def gains_outside(model: UnseenDetector, fit: Fit, left_out: str) -> dict:
    """Return what rows of patients left out gain by each strength, and their kinds and domains."""
    found = outside(model, fit, left_out)
    wide = np.logaddexp(0, (found.log_odds - found.mode.odds_centre) / found.mode.odds_spread)
    plain = found.areas(found.novelty)
    gains = {str(w): (found.areas(found.novelty + w * wide) - plain).tolist() for w in STRENGTHS}
    return {"gains": gains, **found.facts}


def no_kind_loses(mean: float, error: float, each: list) -> bool:
    return mean > 0 and all(gain >= -TOLERANCE / 2 for gain, _error in each)


def mean_gains(mean: float, error: float, each: list) -> bool:
    return mean > 0


def no_more_than_chance(mean: float, error: float, each: list) -> bool:
    kinds = all(gain >= -max(TOLERANCE, 2 * own) for gain, own in each)
    return kinds and mean >= -max(TOLERANCE, error)


def always(mean: float, error: float, each: list) -> bool:
    return True


RULES: dict[str, Callable[[float, float, list], bool]] = {
    "no kind loses .0025, and the mean gains": no_kind_loses,
    "the mean gains": mean_gains,
    "**no kind, nor the mean, loses more than chance explains**": no_more_than_chance,
    "always ½": always,
}


def table(records: list[tuple[str, list[dict]]]) -> str:
    """Return one line a rule and mode."""
    lines = []
    for mode, mode_name in enumerate(MODES):
        for name, rule in RULES.items():
            parts: dict[str, list[tuple]] = defaultdict(list)
            chosen: list[float] = []
            for left_out, both in records:
                record = both[mode]
                fine = [float(w) for w, facts in record["inside"].items() if rule(*facts)]
                strength = max(fine, default=0.0)
                chosen.append(strength)
                gains = record["gains"][str(strength)] if strength else [0.0] * len(record["kinds"])
                parts["left out" if left_out else "known"].append((gains, record["kinds"], record["domains"]))
            cells = [f"{mode_name}: {name}"]
            for setting in ("known", "left out"):
                means, error = gain_of(*(np.concatenate(part) for part in zip(*parts[setting], strict=True)))
                cells += [f"{means[kind]:+.3f}" for kind in KINDS]
                cells.append(f"{np.mean(list(means.values())):+.3f} ± {error:.3f}")
            counts = sorted(Counter(chosen).items())
            lines.append([*cells, ", ".join(f"{count}× {strength:g}" for strength, count in counts)])
    settings = [f"{setting} {kind}" for setting in ("known", "left out") for kind in (*KINDS, "mean")]
    return markdown(["DS1, patients left out of the fit", *settings, "chosen"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=2, help="ways to part the patients and draw labels")
    parser.add_argument("--out", type=Path, default=Path("out/domain_sign_rules"))
    parser.add_argument("--write", action="store_true", help=f"renew the table in docs/{PAGE}")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    records = []
    for seed in range(options.seeds):
        for fold in range(N_FOLDS):
            for left_out in ("", *KINDS):
                file = options.out / f"{seed}-{fold}-{left_out or 'none'}.json"
                if not file.exists():
                    file.write_text(json.dumps(fits(options, seed, fold, left_out)))
                    print(f"{file.name}: done", file=sys.stderr, flush=True)
                records.append((left_out, json.loads(file.read_text())))
    text = table(records)
    print(text)
    if options.write:
        write_block(PAGE, "domain-sign-rules", text)


if __name__ == "__main__":
    main()
