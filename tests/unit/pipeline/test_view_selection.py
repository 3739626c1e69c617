"""Choosing a view on source domains left out in turn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from unseen.detectors import IsolationForest, KNearestNeighbours
from unseen.pipeline import choose_view, compare_views
from unseen.pipeline.view_selection import uniform_distance
from unseen.types import Labels


def shifted_domains(
    n_domains: int = 6, *, shift: float, with_kind: bool, seed: int = 0
) -> tuple[np.ndarray, Labels]:
    """Normals around centres ``shift`` apart, one a domain; the kind lies 3 away from its domain's centre."""
    rng = np.random.default_rng(seed)
    blocks, kinds, domains = [], [], []
    for number in range(n_domains):
        centre = rng.normal(size=4) * shift
        normals, odd = rng.normal(size=(60, 4)), rng.normal(size=(20, 4)) + 3
        blocks += [centre + normals, centre + odd] if with_kind else [centre + normals]
        kinds += ["normal"] * 60 + ["odd"] * (20 if with_kind else 0)
        domains += [f"d{number}"] * (80 if with_kind else 60)
    names = np.array(kinds)
    labels = Labels((names != "normal").astype(np.int8), names, np.array(domains))
    return np.concatenate(blocks).astype(np.float32), labels


@pytest.mark.parametrize("with_kind", [True, False])
def test_domains_far_apart_ask_for_residuals(with_kind: bool) -> None:
    X, labels = shifted_domains(shift=10, with_kind=with_kind)
    forest = IsolationForest(n_trees=20)
    choice = compare_views(forest, X, labels, n_references=8, seed=0)
    assert choice.view != "raw"
    assert choice.values["residual-centre"] > choice.values["raw"] + 0.05
    assert ("AUROC" in choice.criterion) == with_kind
    assert choose_view(forest, X, labels, n_references=8, seed=0) == choice.view


def test_equal_domains_keep_raw_on_ties() -> None:
    X, labels = shifted_domains(shift=0, with_kind=False)
    X[:] = X[0]
    assert choose_view(KNearestNeighbours(), X, labels, n_references=4, seed=0) == "raw"


def test_too_few_domains_keep_raw() -> None:
    X, labels = shifted_domains(1, shift=10, with_kind=True)
    choice = compare_views(KNearestNeighbours(), X, labels, n_references=8, seed=0)
    assert (choice.view, choice.values) == ("raw", {})
    assert "nothing was compared" in choice.criterion


def test_labels_judge_but_do_not_teach() -> None:
    """The fits get normals alone."""

    class Watched(KNearestNeighbours):
        def _fit(self, V: np.ndarray, labels: Labels) -> None:
            assert labels.normal.all()
            super()._fit(V, labels)

    X, labels = shifted_domains(shift=10, with_kind=True)
    assert compare_views(Watched(), X, labels, n_references=8, seed=0).values


def test_left_out_domains_are_not_fitted_on() -> None:
    seen: list[set[str]] = []

    class Watched(KNearestNeighbours):
        def fit(self, X, y=None, *, kinds=None, domains=None, groups=None):  # type: ignore[no-untyped-def]
            seen.append(set(domains))
            return super().fit(X, y, kinds=kinds, domains=domains, groups=groups)

    X, labels = shifted_domains(4, shift=10, with_kind=True)
    compare_views(Watched(), X, labels, n_references=8, seed=0, views=("raw",))
    assert sorted(map(len, seen)) == [3, 3, 3, 3]
    assert len({frozenset({"d0", "d1", "d2", "d3"} - domains) for domains in seen}) == 4


def test_the_distance_is_the_two_sample_kolmogorov_smirnov_statistic() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=50), np.sort(rng.normal(size=80) + 0.5)
    assert uniform_distance(a, b) == pytest.approx(ks_2samp(a, b).statistic)
    assert uniform_distance(b, b) == 0
