"""Confident contrastive meta-learning for rows: switches, references, and what training never reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from unseen.detectors import ConfidentMeta
from unseen.errors import ParameterError
from unseen.metrics import auroc

QUICK: dict[str, Any] = {
    "score": "discriminator",
    "start_share": 0.0,
    "hidden": (16,),
    "latent": 8,
    "epochs": 6,
    "warm_up": 2,
    "steps": 10,
    "tasks": 2,
    "items": 32,
    "lr": 1e-2,
    "regularisation": 1e-4,
    "inner_lr": 0.05,
    "calibration_fraction": 0.0,
}


def made(**parameters: Any) -> ConfidentMeta:
    return ConfidentMeta(**{**QUICK, **parameters})


def world(
    seed: int = 0, domains: tuple[float, ...] = (0.0, 1.0, 2.0)
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rows of some domains with different centres; anomalies break the correlation of the features."""
    draw = np.random.default_rng(seed)
    rows, y, names = [], [], []
    for centre in domains:
        common = draw.normal(size=(60, 1))
        normals = centre + common + 0.2 * draw.normal(size=(60, 5))
        anomalies = centre + 2 * draw.normal(size=(20, 5))
        rows += [normals, anomalies]
        y += [0] * 60 + [1] * 20
        names += [f"at {centre:g}"] * 80
    return np.concatenate(rows), np.array(y), names


def tensors(detector: ConfidentMeta) -> list[torch.Tensor]:
    return [value.clone() for value in detector.network_.state_dict().values()]


def test_a_domain_that_was_never_trained_on_is_scored_without_labels():
    X, y, names = world()
    detector = made(epochs=12, steps=20).fit(X, y, domains=names)
    new, new_y, _ = world(1, domains=(1.5,))
    assert auroc(new_y, detector.decision_function(new)) > 0.85
    assert (detector.decision_function(new) > 0).all()


@pytest.mark.parametrize(
    "switch",
    [
        {"weighting": "none", "kappa": 0.0},
        {"regularisation": 0.0},
        {"meta": "second"},
        {"meta": "none"},
        {"contrastive_weight": 0.0},
        {"noise": 0.0},
        {"synthetic": False},
        {"margin": 1.0},
        {"temperature": 0.5},
        {"inner_steps": 0},
        {"start_share": 0.5},
    ],
    ids=str,
)
def test_every_switch_changes_what_is_learned(switch):
    X, y, names = world()
    assert not all(
        torch.equal(one, other)
        for one, other in zip(
            tensors(made(kappa=0.0, epochs=3, steps=3).fit(X, y, domains=names)),
            tensors(made(**{"kappa": 0.0, "epochs": 3, "steps": 3, **switch}).fit(X, y, domains=names)),
            strict=True,
        )
    )


def test_rows_that_are_scored_labelled_or_given_as_references_change_no_trained_tensor():
    X, y, names = world()
    detector = made().fit(X[y == 0], domains=np.array(names)[y == 0])
    before = tensors(detector)
    target, _, _ = world(3, domains=(9.0,))
    detector.decision_function(target, domains=["target"] * len(target))
    adapted = detector.adapt(target[:10], domains=["target"] * 10)
    adapted.decision_function(-target, domains=["target"] * len(target))
    detector.calibrate(target, np.arange(len(target)) % 2)
    assert all(torch.equal(*pair) for pair in zip(before, tensors(detector), strict=True))
    assert all(torch.equal(*pair) for pair in zip(before, tensors(adapted), strict=True))
    assert detector.adapted_ == {}
    beside = made().fit(
        np.concatenate([X, target]),
        np.concatenate([y, np.full(len(target), -1)]),
        domains=[*names, *(["target"] * len(target))],
    )
    assert all(torch.equal(*pair) for pair in zip(before, tensors(beside), strict=True))


def test_steps_of_adaptation_are_those_asked_for():
    X, y, names = world()
    detector = made().fit(X, y, domains=names)
    target, _, _ = world(3, domains=(3.0,))
    domains = ["target"] * len(target)
    zero_shot = detector.decision_function(target, domains=domains)
    scores = {}
    for steps in (0, 1, 5):
        detector.set_params(adaptation_steps=steps)
        adapted = detector.adapt(target[:20], domains=["target"] * 20)
        scores[steps] = adapted.decision_function(target, domains=domains)
        assert sorted(adapted.adapted_) == (["target"] if steps else [])
    np.testing.assert_array_equal(scores[0], zero_shot)
    assert not np.allclose(scores[1], zero_shot)
    assert not np.allclose(scores[5], scores[1])


def test_the_last_epoch_is_kept_whatever_rows_are_scored_later():
    """No epoch is chosen, so longer training begins with the same epochs."""
    X, y, names = world()
    short, long = (made(epochs=epochs).fit(X, y, domains=names) for epochs in (3, 6))
    for name, values in short.history_.items():
        np.testing.assert_array_equal(long.history_[name][:3], values)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weighting": "half"},
        {"meta": "third"},
        {"kappa": -1.0},
        {"temperature": 0.0},
        {"inner_lr": 0.0},
        {"synthetic": 1},
        {"items": 1},
        {"hidden": ()},
        {"score": "all"},
        {"start_share": 1.5},
        {"adaptation_steps": -1},
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ParameterError):
        made(**wrong).fit(np.zeros((4, 2)))


def test_the_score_has_the_terms_asked_for_and_references_are_prototypes():
    X, y, names = world()
    detector = made().fit(X, y, domains=names)
    target, target_y, _ = world(3, domains=(3.0,))
    known = detector.adapt(target[:20], domains=["target"] * 20)
    assert known.prototypes_["target"].shape == (20, 8)
    for domain in ("target", "never met"):
        found = {}
        for score in ("discriminator", "prototypes", "both"):
            known.set_params(score=score)
            found[score] = known.decision_function(target, domains=[domain] * len(target))
        np.testing.assert_allclose(found["both"], found["discriminator"] + found["prototypes"], rtol=1e-9)
    known.set_params(score="prototypes")
    scores = known.decision_function(target, domains=["target"] * len(target))
    np.testing.assert_allclose(scores[:20], 0, atol=1e-6)
    assert auroc(target_y[20:], scores[20:]) > 0.85


def test_contributions_sum_to_the_difference_of_scores_from_the_origin():
    X, y, names = world()
    detector = made(score="prototypes").fit(X, y, domains=names)
    rows = X[y == 1][:30]
    difference = detector.decision_function(rows) - detector.decision_function(detector.origin_[None])
    error = np.abs(detector.explain(rows).sum(axis=1) - difference)
    assert np.median(error) < 0.1 * np.abs(difference).max()
