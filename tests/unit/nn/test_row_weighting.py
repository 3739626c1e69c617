"""When the weights apply, from which losses, and what they do to a contaminated training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.errors import ParameterError
from unseen.nn.losses.elbo import elbo_by_row, elbo_terms
from unseen.nn.reweighting import alpha_weights, confident_weights
from unseen.nn.row_weighting import WeightingRule, check_weighting, weighting_rule
from unseen.nn.vae_training import train_on_normals
from unseen.nn.variational_autoencoder import reconstruction_errors

CPU = torch.device("cpu")
LOSSES = torch.tensor([4.0, 1.0, 2.0, 9.0])
ROWS = torch.arange(4)


def test_alpha_weighs_by_the_batch_after_its_burn_in():
    weights_of = WeightingRule("alpha", 0.5, 2.0).schedule(4, epochs=50, batch_size=4)
    found = [weights_of(LOSSES, ROWS, epoch) for epoch in range(1, 6)]
    for flat in found[:3]:
        torch.testing.assert_close(flat, torch.full((4,), 0.25))
    for weighted in found[3:]:
        torch.testing.assert_close(weighted, alpha_weights(LOSSES, alpha=0.5, scale=2.0))


def test_the_median_is_the_unit_of_the_losses():
    weights_of = WeightingRule("alpha", 1.0, "median").schedule(4, epochs=1, batch_size=4, burn_in=0.0)
    found = weights_of(LOSSES, ROWS, 1)
    torch.testing.assert_close(found, torch.softmax(-LOSSES / 2.0, dim=0))  # torch's median of 4 is the lower
    torch.testing.assert_close(weights_of(1e6 * LOSSES, ROWS, 1), found)
    assert torch.isfinite(weights_of(torch.zeros(4), ROWS, 1)).all()


def test_confident_weighs_by_the_losses_of_the_epoch_before():
    losses = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 90.0])
    weights_of = WeightingRule("confident", 1.0, "median").schedule(6, epochs=3, batch_size=3)
    first, second = torch.tensor([5, 0, 2]), torch.tensor([1, 3, 4])
    for part in (first, second):
        torch.testing.assert_close(weights_of(losses[part], part, 1), torch.full((3,), 1 / 3))
    expected = confident_weights(losses)
    for part in (second, first):
        found = weights_of(torch.zeros(3), part, 2)  # the losses of now do not matter
        torch.testing.assert_close(found, expected[part] / expected[part].sum())
    assert 0 < float(found[0]) < 0.2


def test_row_terms_add_up_to_the_terms_of_the_batch():
    generator = torch.Generator().manual_seed(0)
    output, rows, mean, spread = (torch.rand(7, 3, generator=generator) for _ in range(4))
    for kind in ("mse", "bce"):
        by_row = elbo_by_row(output, rows, mean, spread, kind)
        torch.testing.assert_close(
            tuple(term.mean() for term in by_row), elbo_terms(output, rows, mean, spread, kind)
        )


def _train(X: np.ndarray, rule: WeightingRule | None, loss: str = "mse", epochs: int = 25):
    network, history = train_on_normals(
        X, hidden=(8,), latent=2, loss=loss, epochs=epochs, batch_size=64, lr=5e-3, device=CPU, seed=0,
        weighting=rule,
    )  # fmt: skip
    return reconstruction_errors(network, X, CPU), history


def test_a_scale_beyond_all_losses_is_plain_training():
    X = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    plain, plain_history = _train(X, None, epochs=4)
    flat, history = _train(X, WeightingRule("alpha", 0.1, 1e9), epochs=4)
    np.testing.assert_allclose(flat, plain, rtol=1e-3)
    np.testing.assert_allclose(history["loss"], plain_history["loss"], rtol=1e-3)


def _contaminated() -> tuple[np.ndarray, np.ndarray]:
    """Normals along a line and a fifth of rows along another, farther out."""
    rng = np.random.default_rng(1)
    along = rng.normal(size=(400, 1)) * np.array([1.0, 0.5, 0, 0, 0, 0])
    away = 3 + rng.normal(size=(100, 1)) * np.array([0, 0, 0, 2.0, -1.0, 1.5])
    X = np.concatenate([along, away]) + 0.1 * rng.normal(size=(500, 6))
    return X.astype(np.float32), np.arange(500) >= 400


def test_alpha_keeps_contaminants_from_being_learned():
    X, bad = _contaminated()
    plain, _ = _train(X, None, epochs=60)
    robust, _ = _train(X, WeightingRule("alpha", 1.0, "median"), epochs=60)
    ratios = [errors[bad].mean() / errors[~bad].mean() for errors in (plain, robust)]
    assert ratios[1] > 10 * ratios[0]


@pytest.mark.parametrize("name", ["alpha", "confident"])
def test_the_same_seed_gives_the_same_network(name):
    X, _ = _contaminated()
    once, again = (_train(X, WeightingRule(name, 1.0, "median"), epochs=3)[0] for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_values_are_checked():
    check_weighting("d", None, 1.0, "median")
    check_weighting("d", "alpha", -2, 0.1)
    for values in (
        ("beta", 1.0, 1.0),
        ("alpha", float("nan"), 1.0),
        ("alpha", 1.0, 0),
        ("alpha", 1.0, "mean"),
    ):
        with pytest.raises(ParameterError, match="reweighting"):
            check_weighting("d", *values)
    assert weighting_rule(None, 1.0, "median") is None
    assert weighting_rule("alpha", 0.1, 0.1) == WeightingRule("alpha", 0.1, 0.1)
