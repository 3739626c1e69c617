"""The anomaly-aware VAE: what stage 2 does, to whom, and when it is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from unseen.detectors.anomaly_aware_vae import AnomalyAwareVAE
from unseen.detectors.baselines.vae import VAE
from unseen.errors import InputError, LabelError, ParameterError
from unseen.metrics.ranking import auroc
from unseen.nn import awareness_training
from unseen.nn.device import seeded_generator

QUICK: dict[str, Any] = {
    "hidden": (8,),
    "latent": 2,
    "epochs": 12,
    "awareness_epochs": 8,
    "batch_size": 64,
    "lr": 5e-3,
    "calibration_fraction": 0.0,
    "device": "cpu",
}


def _world(seed: int = 0, n: int = 500, n_each: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Normals on a plane; two kinds a little off it, in different directions; rows and kinds."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(2, 6))
    rows = rng.normal(size=(n + 2 * n_each, 2)) @ mix + 0.5 * rng.normal(size=(n + 2 * n_each, 6))
    rows[n : n + n_each, 0] += 1.5
    rows[n + n_each :, 3] -= 1.5
    return rows, np.repeat(["normal", "up", "down"], [n, n_each, n_each])


def test_stage_1_is_the_plain_vae() -> None:
    X, kinds = _world()
    aware = AnomalyAwareVAE(lambda_max=1.0, **QUICK).fit(X, kinds=kinds)
    plain_settings = {name: value for name, value in QUICK.items() if name != "awareness_epochs"}
    plain = VAE(**plain_settings).fit(X, kinds=kinds)
    np.testing.assert_array_equal(aware.stage1_scores(X), plain.decision_function(X))


def test_stage_2_raises_the_error_of_known_kinds_on_fresh_rows() -> None:
    X, kinds = _world()
    settings = QUICK | {"awareness_epochs": 40}
    detector = AnomalyAwareVAE(lambda_max=1.0, score="stage2", **settings).fit(X, kinds=kinds)
    fresh, fresh_kinds = _world(seed=5)
    y = (fresh_kinds != "normal").astype(int)
    before, after = auroc(y, detector.stage1_scores(fresh)), auroc(y, detector.stage2_scores(fresh))
    assert after > before + 0.1
    np.testing.assert_array_equal(detector.decision_function(fresh), detector.stage2_scores(fresh))


def test_history_holds_both_stages_with_a_living_kl_term() -> None:
    X, kinds = _world()
    detector = AnomalyAwareVAE(lambda_max=0.5, clip=20.0, **QUICK).fit(X, kinds=kinds)
    assert set(detector.history_) == {"loss", "reconstruction", "kl"}
    assert detector.history_["kl"].shape == (12,)
    assert detector.history_["kl"][-1] > 0.1
    aware = detector.awareness_history_
    assert set(aware) == {"loss", "reconstruction", "kl", "anomaly_error"}
    ramp = 0.5 * np.arange(1, 9) / 8
    expected = aware["reconstruction"] + aware["kl"] - ramp * aware["anomaly_error"]
    np.testing.assert_allclose(aware["loss"], expected, rtol=1e-4)
    assert aware["anomaly_error"].max() <= 20.0


@pytest.mark.parametrize("score", ["guarded", "stage2", "combined"])
def test_contributions_sum_to_the_score_under_every_rule(score: str) -> None:
    X, kinds = _world()
    detector = AnomalyAwareVAE(lambda_max=1.0, score=score, **QUICK).fit(X, kinds=kinds)
    scores, contributions = detector.score_and_explain(X)
    np.testing.assert_array_equal(scores, detector.decision_function(X))
    np.testing.assert_allclose(contributions.sum(axis=1), scores, rtol=1e-5)


@pytest.mark.parametrize("lambda_max", [0.0, 1.0, "auto"])
def test_without_labelled_anomalies_stage_2_is_left_out(lambda_max: float | str) -> None:
    X, _kinds = _world()
    detector = AnomalyAwareVAE(lambda_max=lambda_max, score="stage2", **QUICK).fit(X)
    assert detector.lambda_max_ == 0.0
    assert detector.lambda_curve_ is None
    assert detector.awareness_history_ == {}
    np.testing.assert_array_equal(detector.decision_function(X), detector.stage1_scores(X))


def test_unlabelled_rows_take_no_part() -> None:
    X, kinds = _world()
    stranger = np.full((30, 6), 50.0)
    alone = AnomalyAwareVAE(lambda_max=1.0, **QUICK).fit(X, kinds=kinds)
    mixed = AnomalyAwareVAE(lambda_max=1.0, **QUICK).fit(
        np.concatenate([X, stranger]), kinds=np.concatenate([kinds, np.full(30, "")])
    )
    np.testing.assert_array_equal(alone.decision_function(X), mixed.decision_function(X))


def test_each_kind_is_drawn_equally_often_whatever_its_size() -> None:
    anomalies = torch.arange(110.0)[:, None]
    kinds = np.repeat(["many", "few"], [100, 10])
    grouped, offsets, counts = awareness_training._by_kind(anomalies, kinds)
    drawn = grouped[awareness_training._draw(offsets, counts, 20_000, seeded_generator(0))][:, 0].numpy()
    few = drawn[drawn >= 100]
    assert len(few) / len(drawn) == pytest.approx(0.5, abs=0.02)
    assert set(few.astype(int)) == set(range(100, 110))
    assert len(np.unique(drawn[drawn < 100])) == 100


def test_auto_records_its_curve_and_uses_one_of_its_values() -> None:
    X, kinds = _world(n=300)
    detector = AnomalyAwareVAE(lambda_max="auto", lambdas=(0.5, 5.0), **QUICK).fit(X, kinds=kinds)
    curve = detector.lambda_curve_
    assert curve is not None
    assert curve.lambdas.tolist() == [0.0, 0.5, 5.0]
    assert curve.kinds.tolist() == ["down", "up"]
    assert np.isfinite(curve.left_out_auroc).all()
    assert detector.lambda_max_ in curve.lambdas


def test_curve_of_a_fitted_detector_starts_at_its_stage_1_and_leaves_it_alone() -> None:
    X, kinds = _world(n=300)
    detector = AnomalyAwareVAE(lambda_max=1.0, lambdas=(5.0,), score="stage2", **QUICK).fit(X, kinds=kinds)
    before = detector.decision_function(X)
    curve = detector.lambda_curve(X, kinds=kinds)
    np.testing.assert_array_equal(detector.decision_function(X), before)
    assert curve.left_out_auroc.shape == (2, 2)
    assert not np.array_equal(curve.left_out_auroc[0], curve.left_out_auroc[1])
    with pytest.raises(LabelError, match="at least 4 normals and 2 labelled anomalies"):
        detector.lambda_curve(X[:10], kinds=kinds[:10])


def test_bce_keeps_reconstructions_and_scores_within_bounds() -> None:
    X, kinds = _world()
    squeezed = 1 / (1 + np.exp(-X))
    detector = AnomalyAwareVAE(loss="bce", lambda_max=0.1, score="stage2", **QUICK).fit(squeezed, kinds=kinds)
    assert (detector.decision_function(squeezed) <= 6).all()
    with pytest.raises(InputError, match=r"loss='bce' needs values in \[0, 1\]"):
        AnomalyAwareVAE(loss="bce", **QUICK).fit(X, kinds=kinds)


@pytest.mark.parametrize(
    "bad",
    [
        {"lambda_max": -1.0},
        {"lambda_max": "best"},
        {"lambdas": (-0.1,)},
        {"clip": 0.0},
        {"anomaly_fraction": 1.0},
        {"awareness_epochs": 0},
        {"score": "stage3"},
        {"lambda_margin": -0.1},
        {"lambda_tolerance": -0.1},
        {"guard_quantile": 1.0},
    ],
)
def test_bad_parameters_are_refused_by_name(bad: dict[str, Any]) -> None:
    X, kinds = _world(n=30)
    with pytest.raises(ParameterError, match=next(iter(bad))):
        AnomalyAwareVAE(**bad).fit(X, kinds=kinds)
