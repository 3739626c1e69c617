"""The training loop: every row once an epoch, seeded, and honest about divergence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unseen.errors import ParameterError
from unseen.nn import training
from unseen.nn.device import resolve_device, seeded_generator
from unseen.nn.threads import suitable_threads
from unseen.nn.training import StepLoss, shuffled_batches, train


def _line(n: int = 300) -> tuple[Tensor, Tensor]:
    x = torch.linspace(-1, 1, n)[:, None]
    return x, 3 * x + 1


def _fit_line(seed: int, epochs: int = 60) -> tuple[nn.Linear, dict[str, np.ndarray]]:
    x, y = _line()
    layer = nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()

    def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
        error = (layer(batch[0]) - batch[1]).square().mean()
        return StepLoss(error, {"twice": 2 * error})

    history = train(
        layer, step, [x, y], epochs=epochs, batch_size=32, lr=0.05, generator=seeded_generator(seed)
    )
    return layer, history


@pytest.mark.parametrize("block_rows", [10, 64, 65_536])
def test_each_epoch_holds_every_row_once_in_step(monkeypatch: pytest.MonkeyPatch, block_rows: int) -> None:
    monkeypatch.setattr(training, "_BLOCK_ROWS", block_rows)
    rows = torch.arange(101)
    batches = list(shuffled_batches([rows, rows * 2], 16, seeded_generator(0)))
    assert all(torch.equal(second, 2 * first) for first, second in batches)
    seen = torch.cat([first for first, _second in batches])
    assert sorted(seen.tolist()) == rows.tolist()
    assert seen.tolist() != rows.tolist()
    assert [len(first) for first, _second in batches] == [16] * 6 + [5]


def test_training_finds_the_line_and_records_every_part() -> None:
    layer, history = _fit_line(0)
    assert layer.weight.item() == pytest.approx(3, abs=0.05)
    assert layer.bias.item() == pytest.approx(1, abs=0.05)
    assert set(history) == {"loss", "twice"}
    assert history["loss"].shape == (60,)
    np.testing.assert_allclose(history["twice"], 2 * history["loss"], rtol=1e-6)
    assert history["loss"][-1] < 1e-2 * history["loss"][0]


def test_same_seed_same_weights_and_other_seed_other_weights() -> None:
    first, again, other = (_fit_line(seed, epochs=2)[0] for seed in (5, 5, 6))
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)


def test_history_weighs_batches_by_their_rows() -> None:
    layer = nn.Linear(1, 1)

    def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
        return StepLoss(0 * layer(batch[0]).sum() + batch[0].mean(), {})

    rows = torch.arange(10.0)[:, None]
    history = train(layer, step, [rows], epochs=1, batch_size=4, lr=1e-3, generator=seeded_generator(0))
    assert history["loss"].tolist() == [pytest.approx(4.5)]


def test_training_leaves_torchs_global_generator_alone() -> None:
    layer = nn.Linear(1, 1)
    before = torch.get_rng_state()

    def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
        return StepLoss(layer(batch[0]).square().mean(), {})

    train(layer, step, [_line()[0]], epochs=2, batch_size=8, lr=0.1, generator=seeded_generator(1))
    assert torch.equal(torch.get_rng_state(), before)


def test_divergence_is_an_error_that_names_the_learning_rate() -> None:
    layer = nn.Linear(1, 1)

    def step(batch: tuple[Tensor, ...], _epoch: int) -> StepLoss:
        return StepLoss(layer(batch[0]).sum() * float("nan"), {})

    with pytest.raises(ParameterError, match=r"diverged.*lr"):
        train(layer, step, [torch.ones(4, 1)], epochs=1, batch_size=2, lr=1e9, generator=seeded_generator(0))


def test_small_networks_run_on_one_thread_and_the_count_comes_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with suitable_threads(nn.Linear(3, 3)):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with suitable_threads(nn.Linear(400, 400)):
            assert torch.get_num_threads() == 2
        with pytest.raises(RuntimeError, match="inside"), suitable_threads(nn.Linear(3, 3)):
            raise RuntimeError("inside")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_devices_are_resolved_or_refused() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in {"cpu", "cuda"}
    with pytest.raises(ParameterError, match="device must be"):
        resolve_device("abacus")
