"""Whether a lift to where the labels' p-value puts a row should replace the sum in new domains, inside DS1.

The fits, rows, errors and the rule for the strength are those of ``domain_sign_rules.py``. Depths d are -log
of the share of normals that reach a value, of domains that the rounds of the fit left out, every domain with
the same say; of novelty, or of what labels say (O of the common signs, or the evidence P g near labelled
rows). With k = w / (1 - w)

    least p-value     score(x) = max( novelty(x), Q(d_l(x) + log k) )
    harmonic mean     score(x) = novelty(x) + Q(log(e^d_n(x) + k e^d_l(x))) - Q(d_n(x))

where Q(d) is the novelty at depth d. *Worst*: the most that a kind left out of a fit loses in the patients
left out. The second table counts their normals at p-values of the fit: were new patients like those of the
rounds, shares would be 10 % and 2 %. DS2 is not touched.

    python benchmarks/domain_lifts.py ../shared/data/mitbih --write
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "paper"))
sys.path.insert(0, str(Path(__file__).parent / "paper" / "multi_directional"))
from document import markdown, write_block

from domain_evidence import KINDS, PAGE
from domain_sign_rules import (
    MODES,
    N_FOLDS,
    Fit,
    Outside,
    asked,
    facts_of,
    fitted,
    no_more_than_chance,
    outside,
)
from unseen.detectors import UnseenDetector
from unseen.detectors.fused.choice import LeftOut
from unseen.detectors.fused.evidence import log_odds_location
from unseen.detectors.fused.gains import below, gain_of
from unseen.detectors.fused.lift import SHORTEST_NOVELTY_TAIL, Exceedance, Lift, exceedance_of
from unseen.scoring.domains import balanced_over_domains

WIDE, SHARES = (0.1, 0.25, 0.5, 1.0), (0.05, 0.1, 0.2, 0.3, 0.5)
SUM, LEAST, HARMONIC, NEAR = "sum", "least p-value", "harmonic mean", "least p-value, P g"
FORMS = {SUM: WIDE, LEAST: SHARES, HARMONIC: SHARES, NEAR: SHARES}
ROWS = (
    (SUM, 0.5),
    (SUM, 1.0),
    *((form, top) for form in (LEAST, HARMONIC) for top in (0.2, 0.3, 0.5)),
    (NEAR, 0.2),
)
SOURCES, RATES = ("novelty", "O", "P g"), (0.1, 0.02)
SHORTEST = {"novelty": SHORTEST_NOVELTY_TAIL, "O": 0.1, "P g": 1e-3}
WORST_OF = 10
"""Rows that a kind needs in the patients left out to count as the worst."""


def depths_of(rounds: list[LeftOut], weights: np.ndarray) -> dict[str, Exceedance]:
    """Return the depths of each source over the rounds' normals."""
    domains = np.concatenate([item.domains[~item.y] for item in rounds])
    values = {
        "novelty": [item.placed[~item.y] @ weights for item in rounds],
        "O": [item.log_odds[~item.y] for item in rounds],
        "P g": [item.local[~item.y] for item in rounds],
    }
    return {
        name: exceedance_of(balanced_over_domains(np.concatenate(found), domains), SHORTEST[name])
        for name, found in values.items()
    }


def least(
    novelty: np.ndarray, said: np.ndarray, share: float, of: Exceedance, said_of: Exceedance
) -> np.ndarray:
    """Return the score by the smaller of the p-values p_n / (1 - w) and p_l / w."""
    return np.asarray(novelty + Lift(share, of, said_of).raised(novelty, said))


def harmonic(
    novelty: np.ndarray, said: np.ndarray, share: float, of: Exceedance, said_of: Exceedance
) -> np.ndarray:
    """Return the score by the weighted harmonic mean of both p-values."""
    own = of.depth(novelty)
    both = np.logaddexp(own, said_of.depth(said) + np.log(share / (1 - share)))
    return np.asarray(novelty + of.value(both) - of.value(own))


def scores(
    form: str,
    strength: float,
    novelty: np.ndarray,
    said: dict[str, np.ndarray],
    location: tuple[float, float],
    depths: dict[str, Exceedance],
) -> np.ndarray:
    """Return the scores of some rows by one form and strength."""
    if form == SUM:
        return np.asarray(novelty + strength * np.logaddexp(0, (said["O"] - location[0]) / location[1]))
    source, fuse = ("P g" if form == NEAR else "O"), (harmonic if form == HARMONIC else least)
    return fuse(novelty, said[source], strength, depths["novelty"], depths[source])


def inside(
    rounds: list[LeftOut], weights: np.ndarray, deciding: np.ndarray, depths: dict[str, Exceedance]
) -> dict[str, dict[str, list]]:
    """Return for each form and strength what kinds left out in the rounds of a fit gain."""
    judged = asked(rounds, deciding)
    if not judged:
        return {}
    kinds = np.concatenate([np.full(int(item.y.sum()), item.kind) for item in judged])
    domains = np.concatenate([item.domains[item.y] for item in judged])
    found: dict[str, dict[str, list]] = defaultdict(dict)
    for form, strength in ((form, strength) for form, all_of in FORMS.items() for strength in all_of):
        gains = []
        for item in judged:
            novelty, said = item.placed @ weights, {"O": item.log_odds, "P g": item.local}
            location = log_odds_location(item.log_odds[~item.y])
            score = scores(form, strength, novelty, said, location, depths)
            gains.append(below(score[~item.y], score[item.y]) - below(novelty[~item.y], novelty[item.y]))
        found[form][str(strength)] = facts_of(np.concatenate(gains), kinds, domains)
    return found


def record(model: UnseenDetector, fit: Fit, left_out: str, found: tuple) -> dict:
    """Return what kinds gain by each form and strength, in the rounds and in the patients left out."""
    rounds, weights, deciding = found
    told = [item for item in rounds if item.log_odds.any()] or rounds
    depths = depths_of(told, weights)
    rows: Outside = outside(model, fit, left_out)
    said, location = {"O": rows.log_odds, "P g": rows.local}, (rows.mode.odds_centre, rows.mode.odds_spread)
    plain, gains = rows.areas(rows.novelty), {}
    for form, all_of in FORMS.items():
        each = {w: scores(form, w, rows.novelty, said, location, depths) for w in all_of}
        gains[form] = {str(w): (rows.areas(score) - plain).tolist() for w, score in each.items()}
    values = {"novelty": rows.novelty, **said}
    reach = {name: depths[name].depth(values[name][rows.normal]) for name in SOURCES}
    shares = {name: [float(np.mean(own > -np.log(rate))) for rate in RATES] for name, own in reach.items()}
    seen = inside(rounds, weights, deciding, depths)
    return {"gains": gains, "inside": seen, "shares": shares, **rows.facts}


def chosen(record: dict, form: str, top: float) -> float:
    """Return the largest strength that the rule allows; 0 where none."""
    seen = record["inside"].get(form, {})
    fine = [w for w in FORMS[form] if w <= top and str(w) in seen and no_more_than_chance(*seen[str(w)])]
    return max(fine, default=0.0)


def table(records: list[tuple[str, list[dict]]]) -> str:
    """Return one line a mode, form and largest strength."""
    lines = []
    for mode, form, top in ((mode, form, top) for mode in range(len(MODES)) for form, top in ROWS):
        parts: dict[str, list[tuple]] = defaultdict(list)
        strengths, losses = [], []
        for left_out, both in records:
            own = both[mode]
            strengths.append(chosen(own, form, top))
            nothing = [0.0] * len(own["kinds"])
            gains = own["gains"][form][str(strengths[-1])] if strengths[-1] else nothing
            parts["left out" if left_out else "known"].append((gains, own["kinds"], own["domains"]))
            if left_out and len(gains) >= WORST_OF:
                losses.append(float(np.mean(gains)))
        cells = [f"{MODES[mode]}: {form}, up to {top:g}"]
        for setting in ("known", "left out"):
            means, error = gain_of(*(np.concatenate(part) for part in zip(*parts[setting], strict=True)))
            cells += [f"{means[kind]:+.3f}" for kind in KINDS]
            cells.append(f"{np.mean(list(means.values())):+.3f} ± {error:.3f}")
        counts = sorted(Counter(strengths).items())
        lines.append([*cells, f"{min(losses):+.3f}", ", ".join(f"{n}× {w:g}" for w, n in counts)])
    settings = [f"{setting} {kind}" for setting in ("known", "left out") for kind in (*KINDS, "mean")]
    return markdown(["DS1, patients left out of the fit", *settings, "worst", "chosen"], lines)


def table_of_shares(records: list[tuple[str, list[dict]]]) -> str:
    """Return how many normals of the patients left out are below two p-values, in the mean and at worst."""
    lines = []
    for mode, name in enumerate(MODES):
        for source in SOURCES:
            found = np.array([both[mode]["shares"][source] for left_out, both in records if not left_out])
            pairs = zip(found.mean(axis=0), found.max(axis=0), strict=True)
            lines.append([f"{name}: {source}", *(f"{value:.1%}" for pair in pairs for value in pair)])
    heads = [f"p ≤ {rate:g}, {what}" for rate in RATES for what in ("mean", "worst third of the patients")]
    return markdown(["normals of patients left out", *heads], lines)


def run(options: argparse.Namespace, until: Callable[[], bool]) -> list[tuple[str, list[dict]]] | None:
    """Return all records; None if there was no time for all of them."""
    records = []
    every = [(s, f, k) for s in range(options.seeds) for f in range(N_FOLDS) for k in ("", *KINDS)]
    for seed, fold, left_out in every:
        file = options.out / f"{seed}-{fold}-{left_out or 'none'}.json"
        if not file.exists():
            if until():
                return None
            fit = fitted(options.data, seed, fold, left_out)
            pairs = zip((fit.plain, fit.adapted), fit.seen, strict=True)
            found = [record(model, fit, left_out, seen) for model, seen in pairs]
            file.write_text(json.dumps(found))
            print(f"{file.name}: done", file=sys.stderr, flush=True)
        records.append((left_out, json.loads(file.read_text())))
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=4, help="ways to part the patients and draw labels")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no fit after so many")
    parser.add_argument("--out", type=Path, default=Path("out/domain_lifts"))
    parser.add_argument("--write", action="store_true", help=f"renew the tables in docs/{PAGE}")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    records = run(options, lambda: time.monotonic() - started > options.seconds)
    if records is None:
        return
    for name, text in (("domain-lifts", table(records)), ("domain-lift-shares", table_of_shares(records))):
        print(text)
        if options.write:
            write_block(PAGE, name, text)


if __name__ == "__main__":
    main()
