"""The loops of confident contrastive meta-learning: weights, switches, what stays, what is never read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from unseen.errors import ParameterError
from unseen.nn import confident_training
from unseen.nn.confident_network import ConfidentNetwork, parameters_of, vector_of
from unseen.nn.confident_objective import ConfidentBatch, ObjectiveSettings, confident_objective
from unseen.nn.confident_training import (
    Task,
    TrainingSettings,
    adapt_parameters,
    item_scores,
    item_weights,
    meta_train,
)
from unseen.nn.losses.discrimination import anomaly_hinge, normal_hinge
from unseen.nn.reweighting import confident_weights

SETTINGS = TrainingSettings(
    epochs=4, warm_up=2, steps=4, tasks=2, items=8, parts=4, inner_lr=0.1, outer_lr=1e-2, regularisation=1e-4
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network() -> ConfidentNetwork:
    torch.manual_seed(0)
    return ConfidentNetwork(3, latent=8, judge_hidden=8)


def tasks(seed: int = 1, n_items: int = 20) -> list[Task]:
    """Two domains around different points; anomalies are three units off in one direction."""
    draw = generator(seed)
    found = []
    for centre in (0.0, 1.0):
        normals = centre + 0.3 * torch.randn(n_items, 5, 3, generator=draw)
        found.append(Task(normals, normals[:, :4] + torch.tensor([3.0, 0.0, 0.0])))
    return found


def test_hinges_by_hand():
    scores = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0])
    assert normal_hinge(scores, 0.5).tolist() == [0.0, 0.0, 0.5, 1.0, 2.5]
    assert anomaly_hinge(scores, 0.5).tolist() == [2.5, 1.0, 0.5, 0.0, 0.0]


class Summing(ConfidentNetwork):
    """z is x and s the sum of z."""

    def __init__(self) -> None:
        super().__init__(2, latent=2)
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, parts: torch.Tensor, noise: Any = None, sigma: float = 0.0) -> Any:
        scores = self.scale * parts.sum(dim=-1)
        noisy = scores if noise is None else scores + sigma * noise.sum(dim=-1)
        return type(ConfidentNetwork(1)(torch.zeros(1, 1)))(parts, scores, noisy)


def batch() -> ConfidentBatch:
    normals = torch.tensor([[[-1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    anomalies = torch.tensor([[[0.0, 0.25]], [[1.0, 1.0]]])
    return ConfidentBatch(
        normals, anomalies, torch.ones(2, 2, 2), torch.tensor([1.0, 0.5]), torch.zeros(2, dtype=torch.long)
    )


def test_the_objective_by_hand():
    """s: -1, 0 and 1, 1; with noise .1 * 2 added; of anomalies .25 and 2; margin .5."""
    model = Summing()
    theta = dict(model.named_parameters())
    of_normals = [(0.0 + 0.5) / 2, (1.5 + 1.5) / 2]
    of_noise = [(1.3 + 0.3) / 2, 0.0]
    of_made = [0.25, 0.0]

    def loss(**terms: Any) -> float:
        settings = ObjectiveSettings(margin=0.5, **{"noise": 0.1, "contrastive_weight": 0.0, **terms})
        return float(confident_objective(model, theta, batch(), settings).detach())

    def weighted(first: float, second: float) -> float:
        return (first + 0.5 * second) / 1.5

    both = [n + (a + b) / 2 for n, a, b in zip(of_normals, of_noise, of_made, strict=True)]
    assert loss() == pytest.approx(weighted(*both))
    alone = [n + b for n, b in zip(of_normals, of_made, strict=True)]
    assert loss(noise=0.0) == pytest.approx(weighted(*alone))
    alone = [n + a for n, a in zip(of_normals, of_noise, strict=True)]
    assert loss(synthetic=False) == pytest.approx(weighted(*alone))
    assert loss(noise=0.0, synthetic=False) == pytest.approx(weighted(*of_normals))
    assert loss(contrastive_weight=0.5) > loss()


def test_training_separates_normals_from_anomalies_of_a_new_domain():
    model = network()
    result = meta_train(model, tasks(), replace(SETTINGS, epochs=20), generator())
    fresh = tasks(seed=9)[0]
    normal = item_scores(model, result.parameters, fresh.normals)
    anomalous = item_scores(model, result.parameters, fresh.made)
    assert normal.max() < anomalous.min()
    assert result.history["query_loss"][-1] < result.history["query_loss"][0]


@pytest.mark.parametrize("meta", ["first", "second", "none"])
def test_every_order_lowers_the_loss_and_leaves_the_network_alone(meta):
    model = network()
    before = vector_of(dict(model.named_parameters()))
    result = meta_train(model, tasks(), replace(SETTINGS, meta=meta, epochs=6), generator())
    assert (vector_of(dict(model.named_parameters())) == before).all()
    assert result.history["query_loss"][-1] < result.history["query_loss"][0]
    again = meta_train(model, tasks(), replace(SETTINGS, meta=meta, epochs=6), generator())
    assert all(torch.equal(again.parameters[name], value) for name, value in result.parameters.items())


def test_weights_are_made_after_the_warm_up_and_anew_in_every_epoch(monkeypatch):
    """Known mistake: weights from an untrained scorer, computed once."""
    calls: list[torch.Tensor] = []

    def noted(scores: torch.Tensor, settings: TrainingSettings) -> torch.Tensor:
        calls.append(scores.clone())
        return item_weights(scores, settings)

    monkeypatch.setattr(confident_training, "item_weights", noted)
    result = meta_train(network(), tasks(), SETTINGS, generator())
    assert len(calls) == 2 * (SETTINGS.epochs - SETTINGS.warm_up)
    assert not torch.equal(calls[0], calls[2])
    assert (result.history["least_weight"][: SETTINGS.warm_up] == 1).all()


def test_weights_are_one_a_picture_from_its_worst_patch():
    """Known mistake: scores of patches indexed as if they were pictures."""
    model = network()
    theta = dict(model.named_parameters())
    normals = torch.zeros(6, 7, 3)
    normals[4, 5] = torch.tensor([8.0, -3.0, 2.0])
    scores = item_scores(model, theta, normals)
    assert scores.shape == (6,)
    patches = model.score(normals).detach()
    torch.testing.assert_close(scores, patches.amax(dim=1))


def test_negative_scores_never_give_the_most_normal_items_less_weight():
    """Known mistake: T / s with negative s."""
    scores = torch.tensor([-9.0, -8.0, -7.5, -7.0, -6.0, 20.0])
    weights = item_weights(scores, SETTINGS)
    assert (weights[:-1] == 1).all()
    assert 0 < weights[-1] < 0.5
    torch.testing.assert_close(weights, confident_weights(scores))
    assert item_weights(scores, replace(SETTINGS, weighting="hard")).tolist() == [1, 1, 1, 1, 1, 0]
    assert item_weights(scores, replace(SETTINGS, weighting="none")).tolist() == [1] * 6


def test_contaminated_items_get_the_smallest_weights():
    clean = tasks(n_items=30)
    spoiled = [Task(task.normals.clone(), task.made) for task in clean]
    for task in spoiled:
        task.normals[:2] += torch.tensor([3.0, 0.0, 0.0])
    result = meta_train(network(), spoiled, replace(SETTINGS, epochs=12), generator())
    for weights in result.weights:
        assert weights[:2].max() < 1
        assert weights[:2].max() <= weights[2:].min()


def test_adaptation_parts_references_from_defects_on_them_and_no_step_changes_nothing():
    model = network()
    theta = meta_train(model, tasks(), SETTINGS, generator()).parameters
    centre = torch.tensor([0.0, 2.0, 2.0])
    new = Task(tasks()[0].normals + centre, tasks()[0].made + centre)
    before = {name: value.clone() for name, value in theta.items()}

    def gap(steps: int) -> float:
        adapted = adapt_parameters(model, theta, new, SETTINGS, steps=steps, generator=generator())
        return float(
            (item_scores(model, adapted, new.made) - item_scores(model, adapted, new.normals)).mean()
        )

    gaps = [gap(steps) for steps in (0, 1, 5)]
    scores = item_scores(model, theta, new.made) - item_scores(model, theta, new.normals)
    assert gaps[0] == float(scores.mean())
    assert gaps[0] < gaps[1] < gaps[2]
    assert all(torch.equal(theta[name], value) for name, value in before.items())


def test_the_penalty_draws_the_parameters_to_zero():
    lengths = {}
    for base in (0.0, 0.5):
        result = meta_train(network(), tasks(), replace(SETTINGS, regularisation=base), generator())
        lengths[base] = float(sum(value.square().sum() for value in result.parameters.values()))
    assert lengths[0.5] < lengths[0.0]


def test_one_item_and_one_task_work():
    only = [Task(torch.zeros(1, 1, 3), torch.ones(1, 2, 3))]
    result = meta_train(network(), only, SETTINGS, generator())
    assert torch.isfinite(torch.from_numpy(vector_of(result.parameters))).all()


def test_divergence_is_an_error():
    with pytest.raises(ParameterError, match="diverged"):
        meta_train(network(), tasks(), replace(SETTINGS, inner_lr=1e20), generator())


def test_parameters_to_a_vector_and_back():
    model = network()
    theta = dict(model.named_parameters())
    back = parameters_of(model, torch.from_numpy(vector_of(theta)))
    assert list(back) == list(theta)
    assert all(torch.equal(back[name], value) for name, value in theta.items())


def test_a_network_with_a_base_starts_from_the_length_of_its_parts():
    torch.manual_seed(0)
    model = ConfidentNetwork(2, latent=4, judge_hidden=4, base=True)
    model.measure(torch.tensor([[3.0, 4.0], [0.0, 3.0]]))
    scores = model.score(torch.tensor([[0.0, 4.0], [6.0, 8.0], [0.0, 0.0]]))
    torch.testing.assert_close(scores, torch.tensor([-1.0, 5.0, -5.0]))
    result = meta_train(
        ConfidentNetwork(3, latent=8, judge_hidden=8, base=True), tasks(), SETTINGS, generator()
    )
    assert float(result.parameters["share"]) != 1.0


def test_a_share_of_the_start_changes_what_is_learned():
    first, second = (
        meta_train(network(), tasks(), replace(SETTINGS, start_share=share), generator()).parameters
        for share in (0.0, 0.5)
    )
    assert not all(torch.equal(first[name], value) for name, value in second.items())
