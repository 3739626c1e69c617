"""The VAE detector: normals only, scores that are errors, both losses."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.detectors.baselines.vae import VAE
from unseen.errors import InputError, NotFittedError, ParameterError
from unseen.metrics.ranking import auroc

SMALL = {"epochs": 15, "batch_size": 64, "lr": 5e-3, "device": "cpu"}


def _plane(n: int, seed: int, noise: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(2, 6))
    return rng.normal(size=(n, 2)) @ mix + noise * rng.normal(size=(n, 6))


def test_rows_off_the_plane_of_normals_score_higher() -> None:
    detector = VAE(**SMALL).fit(_plane(800, 0))
    fresh, off = _plane(200, 1), _plane(200, 2) + np.random.default_rng(3).normal(size=(200, 6)) * 2
    scores = detector.decision_function(np.concatenate([fresh, off]))
    assert auroc(np.repeat([0, 1], 200), scores) > 0.95


def test_anomalies_and_unlabelled_rows_change_nothing() -> None:
    normals = _plane(300, 0)
    other = np.concatenate([normals, _plane(40, 5) + 4])
    y = np.repeat([0, 1, -1], [300, 20, 20])
    settings = SMALL | {"calibration_fraction": 0.0}
    alone, mixed = VAE(**settings).fit(normals), VAE(**settings).fit(other, y)
    np.testing.assert_array_equal(alone.decision_function(other), mixed.decision_function(other))


def test_contributions_sum_to_the_score() -> None:
    detector = VAE(**SMALL).fit(_plane(300, 0))
    rows = _plane(50, 4)
    contributions = detector.explain(rows)
    assert (contributions >= 0).all()
    np.testing.assert_allclose(contributions.sum(axis=1), detector.decision_function(rows), rtol=1e-12)
    scores, shared = detector.score_and_explain(rows)
    np.testing.assert_array_equal(scores, detector.decision_function(rows))
    np.testing.assert_allclose(shared, contributions, rtol=1e-6)


def test_bce_needs_values_between_zero_and_one_in_training_only() -> None:
    rows = 1 / (1 + np.exp(-_plane(300, 0)))
    detector = VAE(loss="bce", **SMALL).fit(rows)
    assert np.isfinite(detector.decision_function(rows + 3)).all()
    with pytest.raises(InputError, match=r"loss='bce' needs values in \[0, 1\]"):
        VAE(loss="bce", **SMALL).fit(rows + 3)


def test_history_and_latent_space_have_the_stated_shapes() -> None:
    detector = VAE(latent=3, **SMALL).fit(_plane(300, 0))
    assert {name: values.shape for name, values in detector.history_.items()} == dict.fromkeys(
        ["loss", "reconstruction", "kl"], (15,)
    )
    assert detector.latent_means(_plane(9, 1)).shape == (9, 3)


@pytest.mark.parametrize(
    "bad",
    [
        {"hidden": ()},
        {"hidden": (0,)},
        {"latent": 0},
        {"loss": "mae"},
        {"epochs": -1},
        {"batch_size": 0},
        {"lr": 0.0},
        {"device": "abacus"},
    ],
)
def test_bad_parameters_are_refused_by_name(bad: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match=next(iter(bad))):
        VAE(**bad).fit(_plane(20, 0))


def test_latent_means_before_fit_is_an_error() -> None:
    with pytest.raises(NotFittedError):
        VAE().latent_means(_plane(3, 0))
