r"""AUROC and recall with intervals over domains: rows of one domain speak with one voice.

Rows of one patient resemble each other. An interval that counts them as so many independent rows says how
well the figure is known *for these patients*, and is far too narrow for new ones. Here whole domains are what
was sampled.

For one fit that judged some domains, let :math:`W_{de}` be how often an anomaly of domain d ranks above a
normal of domain e (ties one half), :math:`m_d` and :math:`n_e` how many there are. With weights :math:`w` of
the domains, all 1 for the estimate itself, and summed over fits r that judged different domains,

.. math:: A(w) = \frac{\sum_r M_r A_r}{\sum_r M_r}, \quad
    A_r = \frac{w^T W w}{w^T m \; w^T n}, \quad M_r = w^T m.

With :math:`W_{de} / (m_d n_e)` in place of W, and 1 in place of :math:`m_d` and :math:`n_e`, every domain has
the same say (:func:`equal_voices`): what a new domain may expect, whatever the number of its rows.

Two ways to an interval: the variance of A in closed form, and resampled domains, where a figure is made of
several kinds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, rankdata, t

from unseen.metrics.intervals import Interval
from unseen.types import BoolArray, StrArray


@dataclass(frozen=True)
class JudgedDomains:
    """What one fit says about domains that it had not met.

    Attributes
    ----------
    domains : str array of shape (n_domains,)
        Their names.
    wins : float64 array of shape (n_domains, n_domains)
        W: anomalies of the first domain above normals of the second.
    anomalies, normals, flagged : float64 array of shape (n_domains,)
        m, n, and how many of the anomalies were flagged.
    """

    domains: StrArray
    wins: NDArray[np.float64]
    anomalies: NDArray[np.float64]
    normals: NDArray[np.float64]
    flagged: NDArray[np.float64]

    @property
    def fit(self) -> str:
        """What tells fits apart: they judge different domains."""
        return str(self.domains[0])


def judge_domains(
    normals: tuple[NDArray[np.float64], StrArray],
    anomalies: tuple[NDArray[np.float64], StrArray],
    flagged: BoolArray,
    *,
    domains: StrArray,
) -> JudgedDomains:
    """Compare every anomaly with every normal, domain by domain.

    Parameters
    ----------
    normals, anomalies : pair of arrays of shape (n_rows,)
        Scores and domains, at least one row each.
    flagged : bool array of shape (n_anomalies,)
        Which anomalies were flagged.
    domains : str array of shape (n_domains,)
        All domains that the fit had not met, sorted.

    Returns
    -------
    JudgedDomains
    """
    of_normals, of_anomalies = (np.searchsorted(domains, side[1]) for side in (normals, anomalies))
    n = len(domains)
    wins = np.zeros((n, n))
    for column in np.unique(of_normals):
        own = normals[0][of_normals == column]
        ranks = rankdata(np.concatenate([anomalies[0], own]))[: len(anomalies[0])]
        below = ranks - rankdata(anomalies[0])  # normals below each anomaly, ties one half
        wins[:, column] = np.bincount(of_anomalies, below, minlength=n)
    return JudgedDomains(
        domains,
        wins,
        np.bincount(of_anomalies, minlength=n).astype(np.float64),
        np.bincount(of_normals, minlength=n).astype(np.float64),
        np.bincount(of_anomalies, flagged.astype(np.float64), minlength=n).astype(np.float64),
    )


def equal_voices(part: JudgedDomains) -> JudgedDomains:
    """Let every domain have the same say, however many rows it has.

    Parameters
    ----------
    part : JudgedDomains
        With numbers of rows.

    Returns
    -------
    JudgedDomains
        With one anomaly and one normal for each domain that has any: ``wins`` are areas, ``flagged`` shares.
    """
    m, n = np.maximum(part.anomalies, 1.0), np.maximum(part.normals, 1.0)
    return JudgedDomains(
        part.domains,
        part.wins / m[:, None] / n,
        (part.anomalies > 0).astype(np.float64),
        (part.normals > 0).astype(np.float64),
        part.flagged / m,
    )


def auroc_over_domains(parts: Sequence[JudgedDomains], *, confidence: float = 0.95) -> Interval:
    r"""Return the AUROC with an interval over domains.

    The variance is Obuchowski's for clustered data (Biometrics 53, 1997), which is DeLong's where every
    domain has one row: with :math:`a_d` and :math:`b_d` the sums of what the anomalies and the normals of
    domain d contribute to A, about its mean,

    .. math:: \frac{I_a}{I_a - 1} \sum_d a_d^2 + \frac{I_b}{I_b - 1} \sum_d b_d^2
        + 2 \frac{I}{I - 1} \sum_d a_d b_d

    for :math:`I_a` domains with anomalies, :math:`I_b` with normals, I in all. The interval is symmetric in
    the logit, with the t distribution of :math:`\min(I_a, I_b) - 1` degrees. A kind of a single domain says
    nothing about others: its interval is all of [0, 1].

    Parameters
    ----------
    parts : sequence of JudgedDomains
        One a fit; no domain is in two of them. At least one anomaly in all.
    confidence : float in (0, 1)
        Coverage.

    Returns
    -------
    Interval
    """
    area = _area(parts, [np.ones(len(part.domains)) for part in parts])
    a, b = _contributions(parts, area)
    n_a, n_b = (
        int(sum((side > 0).sum() for side in sides))
        for sides in zip(*((part.anomalies, part.normals) for part in parts), strict=True)
    )
    fewest = min(n_a, n_b)
    if fewest < 2:
        return Interval(area, 0.0, 1.0)
    squares = n_a / (n_a - 1) * np.sum(a**2) + n_b / (n_b - 1) * np.sum(b**2)
    variance = float(squares + 2 * len(a) / (len(a) - 1) * np.sum(a * b))
    if variance <= 0 or area in (0.0, 1.0):
        return Interval(area, *_one_voice_each(area, fewest, confidence))
    half = float(t.ppf((1 + confidence) / 2, fewest - 1)) * math.sqrt(variance) / (area * (1 - area))
    centre = math.log(area / (1 - area))
    return Interval(area, _expit(centre - half), _expit(centre + half))


def recall_over_domains(parts: Sequence[JudgedDomains], *, confidence: float = 0.95) -> Interval:
    """Return the share of anomalies flagged, with Clopper and Pearson's interval for one row a domain.

    Parameters
    ----------
    parts : sequence of JudgedDomains
        At least one anomaly in all.
    confidence : float in (0, 1)
        Coverage.

    Returns
    -------
    Interval
    """
    rate = _recall(parts, [np.ones(len(part.domains)) for part in parts])
    n_domains = int(sum((part.anomalies > 0).sum() for part in parts))
    return Interval(rate, *_one_voice_each(rate, n_domains, confidence))


def medians_over_domains(
    kinds: Sequence[Sequence[JudgedDomains]], *, n_draws: int = 1_000, seed: int = 0, confidence: float = 0.95
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return percentile intervals of the median AUROC and the median recall over kinds, domains resampled.

    Domains of a fit are drawn with replacement, the same ones for all kinds. A kind that no drawn domain has
    is left out of the median of that draw.

    Parameters
    ----------
    kinds : sequence of sequences of JudgedDomains
        For each kind one a fit.
    n_draws : int
        How many draws.
    seed : int
        Seeds them.
    confidence : float in (0, 1)
        Coverage.

    Returns
    -------
    pair of pairs of float
        For the AUROC and for the recall.
    """
    rng = np.random.default_rng(seed)
    sizes = {part.fit: len(part.domains) for parts in kinds for part in parts}
    found = []
    for _ in range(n_draws):
        drawn = {fit: rng.multinomial(n, np.full(n, 1 / n)).astype(np.float64) for fit, n in sizes.items()}
        values = []
        for parts in kinds:
            weights = [drawn[part.fit] for part in parts]
            area = _area(parts, weights)
            if not math.isnan(area):
                values.append((area, _recall(parts, weights)))
        if values:
            found.append(np.median(values, axis=0))
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    areas, recalls = np.quantile(np.array(found), tails, axis=0).T
    return (float(areas[0]), float(areas[1])), (float(recalls[0]), float(recalls[1]))


def _area(parts: Sequence[JudgedDomains], weights: Sequence[NDArray[np.float64]]) -> float:
    """A of weighted domains; NaN where they have no anomaly or no normals."""
    total = area = 0.0
    for part, w in zip(parts, weights, strict=True):
        n_anomalies, n_normals = float(w @ part.anomalies), float(w @ part.normals)
        if n_anomalies and n_normals:
            total += n_anomalies
            area += float(w @ part.wins @ w) / n_normals
    return area / total if total else math.nan


def _contributions(
    parts: Sequence[JudgedDomains], area: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the anomalies and the normals of each domain add to A, about its mean."""
    total = sum(part.anomalies.sum() for part in parts)
    ours, theirs = [], []
    for part in parts:
        n_anomalies, n_normals = part.anomalies.sum(), part.normals.sum()
        ours.append((part.wins.sum(axis=1) / n_normals - area * part.anomalies) / total)
        above = part.wins.sum(axis=0) / n_anomalies
        share = n_anomalies / total
        theirs.append(share * (above - part.normals * above.sum() / n_normals) / n_normals)
    return np.concatenate(ours), np.concatenate(theirs)


def _recall(parts: Sequence[JudgedDomains], weights: Sequence[NDArray[np.float64]]) -> float:
    pairs = list(zip(parts, weights, strict=True))
    return float(sum(w @ part.flagged for part, w in pairs) / sum(w @ part.anomalies for part, w in pairs))


def _one_voice_each(rate: float, n: int, confidence: float) -> tuple[float, float]:
    """Clopper and Pearson's interval for a share of n domains."""
    tail, k = (1 - confidence) / 2, rate * n
    low = float(beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return low, high


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
