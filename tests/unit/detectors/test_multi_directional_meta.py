"""Multi-directional meta-learning: options, histories, scores."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from unseen.detectors.episodes import validation_rows
from unseen.detectors.head_weight import guarded_weight
from unseen.detectors.multi_directional_meta import MultiDirectionalMeta
from unseen.errors import ParameterError
from unseen.metrics.ranking import auroc

SMALL = {
    "latent": 8,
    "width": 16,
    "blocks": 1,
    "episodes": 4,
    "inner_steps": 10,
    "outer_steps": 10,
    "seed": 0,
}


@pytest.fixture(scope="module")
def table():
    """Normals on a 3-dimensional sheet in 10; three kinds that leave it in their own ways."""
    draw = np.random.default_rng(0)
    sheet = draw.normal(size=(3, 10))
    normals = draw.normal(size=(600, 3)) @ sheet + 0.1 * draw.normal(size=(600, 10))
    kinds = ["normal"] * 600
    rows = [normals]
    for i, kind in enumerate(("blue", "green", "red")):
        shift = np.zeros(10)
        shift[3 * i : 3 * i + 3] = 2.5
        rows.append(draw.normal(size=(40, 3)) @ sheet + shift + 0.3 * draw.normal(size=(40, 10)))
        kinds += [kind] * 40
    return np.concatenate(rows), np.array(kinds)


def fitted(table, without=(), **options):
    X, kinds = table
    use = ~np.isin(kinds, without)
    return MultiDirectionalMeta(**{**SMALL, **options}).fit(X[use], y=kinds[use])


@pytest.mark.parametrize("score", ["fused", "novelty"])
def test_scores_separate_a_kind_that_was_never_seen(table, score):
    X, kinds = table
    model = fitted(table, without=("red",), score=score)
    judged = np.isin(kinds, ("normal", "red"))
    assert auroc(kinds[judged] == "red", model.decision_function(X[judged])) > 0.8


def test_history_has_one_value_an_episode(table):
    model = fitted(table)
    assert {len(values) for values in model.history_.values()} == {4}
    assert set(model.history_) == {
        "inner_loss",
        "reconstruction",
        "outer_loss",
        "known_auroc",
        "left_out_auroc",
        "margin",
        "temperature",
        "latent_variance",
        "n_kinds",
        "shots",
    }
    assert model.history_["n_kinds"].tolist() == [1, 2, 2, 3]
    assert 0 <= model.best_episode_ < 4
    mean = (model.history_["known_auroc"] + model.history_["left_out_auroc"]) / 2
    assert model.best_episode_ >= 1  # one kind alone leaves a companion untrained
    assert mean[model.best_episode_] == mean[1:].max()


def test_without_labels_fused_is_novelty_and_the_outer_loop_is_left_out(table):
    X, _ = table
    options = dict(SMALL, score="fused")
    fused = MultiDirectionalMeta(**options).fit(X[:600])
    novelty = MultiDirectionalMeta(**dict(options, score="novelty")).fit(X[:600])
    assert np.array_equal(fused.decision_function(X), novelty.decision_function(X))
    assert fused.head_weight_ == 0
    assert np.isnan(fused.history_["outer_loss"]).all()
    assert fused.best_episode_ == 3


def test_without_reconstruction_the_encoder_collapses(table):
    """The trivial solution of the one-class loss: every latent vector the same."""
    options = {"inner_steps": 150, "lr": 5e-3, "outer_steps": 0, "dropout": 0.0, "drop_path": 0.0}
    kept = fitted(table, reconstruction_weight=1.0, **options).history_["latent_variance"][-1]
    collapsed = fitted(table, reconstruction_weight=0.0, **options).history_["latent_variance"][-1]
    assert collapsed < 0.2 * kept


def test_temperature_is_learned_or_fixed_and_stays_in_its_bounds(table):
    learned = fitted(table, outer_lr=0.05).history_["temperature"]
    assert len(set(learned)) > 1
    assert (learned > 0.5).all()
    assert (learned < 10).all()
    fixed = fitted(table, learn_temperature=False, temperature=2.0)
    np.testing.assert_allclose(fixed.history_["temperature"], 2.0, rtol=1e-5)
    assert fixed.temperature_ == pytest.approx(2.0, rel=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"curriculum": False},
        {"multi_directional": False},
        {"margin": 0.9, "margin_weight": 5.0},
        {"reconstruction_weight": 2.0},
        {"order": "implicit"},
        {"learn_temperature": False, "temperature": 3.0},
        {"perturbation": 0.5},
        {"domain_share": 1.0},
        {"n_pseudo_domains": 2},
        {"weight_decay": 0.5},
        {"first_shots": 1},
    ],
)
def test_every_option_changes_the_head(table, change):
    X, _ = table
    plain = fitted(table, score="head", patience=None).decision_function(X)
    other = fitted(table, score="head", **change).decision_function(X)
    assert not np.allclose(plain, other)


def test_a_wider_margin_is_reached_with_a_heavy_hinge(table):
    options = {"outer_lr": 0.01, "episodes": 6, "learn_temperature": False}
    without = fitted(table, margin_weight=0.0, **options).history_["margin"][-1]
    with_hinge = fitted(table, margin=1.0, margin_weight=10.0, **options).history_["margin"][-1]
    assert with_hinge > without


def test_patience_stops_early(table):
    model = fitted(table, episodes=40, patience=2, inner_steps=2)
    ran = len(model.history_["margin"])
    assert ran < 40
    assert ran == model.best_episode_ + 3


def test_own_encoder_module_is_copied_and_trained(table):
    X, _ = table
    mine = nn.Sequential(nn.Linear(10, 6), nn.Tanh())
    before = [p.detach().clone() for p in mine.parameters()]
    model = fitted(table, encoder=mine)
    assert all(torch.equal(a, b) for a, b in zip(before, mine.parameters(), strict=True))
    assert not torch.equal(model.encoder_[0].weight, mine[0].weight)
    assert model.bank_.shape[1] == 6
    assert np.isfinite(clone(model).fit(X[:600]).decision_function(X)).all()


def test_convolutional_encoder_on_beats():
    """Bumps at one place are normal; a bump elsewhere was never seen, a wide one is labelled."""
    draw = np.random.default_rng(0)
    t = np.arange(64)

    def beats(n, place, width):
        bump = np.exp(-0.5 * ((t - place) / width) ** 2)
        return bump * draw.uniform(0.8, 1.2, size=(n, 1)) + 0.05 * draw.normal(size=(n, 64))

    X = np.concatenate([beats(300, 30, 3), beats(30, 30, 9), beats(60, 45, 3)])
    kinds = np.array(["normal"] * 300 + ["wide"] * 30 + ["late"] * 60)
    model = MultiDirectionalMeta(**{**SMALL, "encoder": "conv1d"}).fit(X[:330], y=kinds[:330])
    judged = kinds != "wide"
    assert auroc(kinds[judged] == "late", model.decision_function(X[judged])) > 0.95


def test_reference_views_score_by_the_distance_from_the_references():
    draw = np.random.default_rng(0)
    domains = np.repeat([f"patient {i}" for i in range(8)], 60)
    levels = np.repeat(draw.normal(size=(8, 5)) * 10, 60, axis=0)
    X = levels + draw.normal(size=(480, 5))
    model = MultiDirectionalMeta(**{**SMALL, "view": "residual-centre"}).fit(X, domains=domains)
    assert model.cues_ == ["reference"]
    new = np.full(5, 40.0) + draw.normal(size=(40, 5))
    adapted = model.adapt(new[:8], domains=["new"] * 8)
    rows = np.concatenate([new[8:], new[8:] + 6.0])
    scores = adapted.decision_function(rows, domains=["new"] * len(rows))
    assert auroc(np.arange(len(rows)) >= 32, scores) > 0.99


def test_explanation_sums_to_the_score_above_the_start_of_the_path(table):
    X, _ = table
    model = fitted(table, novelty_cues=("mahalanobis", "reconstruction"), head_weight=0.5)
    rows = X[-20:]
    gained = model.decision_function(rows) - model.decision_function(
        model.input_centre_[None, :].astype("f8")
    )
    np.testing.assert_allclose(model.explain(rows).sum(axis=1), gained, rtol=0.15, atol=0.3)


def test_guard_takes_the_usual_weight_unless_left_out_kinds_speak_against_it():
    options = {"weights": (0.0, 0.5, 1.0), "usual_weight": 0.5, "tolerance": 0.005}
    assert guarded_weight(np.array([[0.90, 0.90, 0.904]]), **options) == 0.5
    assert guarded_weight(np.array([[0.90, 0.90, 0.92]]), **options) == 1.0
    assert guarded_weight(np.array([[0.90, 0.89, 0.88], [0.90, 0.99, 0.99]]), **options) == 0.0
    assert guarded_weight(np.array([[0.90, 0.91, 0.80], [0.90, 0.95, 0.99]]), **options) == 0.5


def test_validation_rows_are_whole_domains_where_there_are_five():
    domains = np.repeat(list("abcdefghij"), 7)
    marked = validation_rows(domains, 0.2, np.random.default_rng(0))
    assert marked.sum() == 14
    assert all(marked[domains == name].all() or not marked[domains == name].any() for name in "abcdefghij")
    unnamed = validation_rows(np.full(50, ""), 0.2, np.random.default_rng(0))
    assert unnamed.sum() == 10
    assert validation_rows(np.array([""]), 0.2, np.random.default_rng(0)).sum() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "transformer"}, "encoder must be"),
        ({"order": "second"}, "order must be"),
        ({"score": "best"}, "score must be"),
        ({"novelty_cues": ()}, "novelty_cues must name at least"),
        ({"novelty_cues": ("distance",)}, "novelty_cues must be"),
        ({"temperature": 0.5}, "temperature must be"),
        ({"head_weight": "half"}, "head_weight must be"),
        ({"validation_fraction": 0.0}, "validation_fraction must be"),
        ({"encoder": nn.Flatten(0)}, "encoder must map"),
    ],
)
def test_bad_options_are_refused(table, options, message):
    with pytest.raises(ParameterError, match=message):
        fitted(table, **options)


def test_trees_enter_the_fused_score_alone_and_are_explained(table):
    X, _ = table
    model = fitted(table, n_trees=10, tree_weight=1.0)
    assert model.tree_weight_ == 1.0
    assert model.trees_ is not None
    with_trees, explained = model.decision_function(X), model.explain(X)
    credits = model.trees_.credits(model._input(X).numpy())
    evidence = model.trees_.evidence(model._input(X).numpy())
    model.trees_ = None
    np.testing.assert_allclose(with_trees - model.decision_function(X), evidence, atol=1e-6)
    np.testing.assert_allclose(explained - model.explain(X), credits, atol=1e-6)


@pytest.mark.parametrize("rule", ["alpha", "confident"])
def test_the_inner_loop_weighs_normals(table, rule):
    plain, weighted = fitted(table), fitted(table, reweighting=rule)
    again = fitted(table, reweighting=rule)
    X = table[0][:50]
    np.testing.assert_array_equal(weighted.decision_function(X), again.decision_function(X))
    assert not np.array_equal(weighted.decision_function(X), plain.decision_function(X))
    assert weighted.history_["reconstruction"][-1] < plain.history_["reconstruction"][-1]
    with pytest.raises(ParameterError, match="reweighting"):
        fitted(table, reweighting="beta")
