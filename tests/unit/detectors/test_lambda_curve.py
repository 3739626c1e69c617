"""The λ curve: who is left out, what stage 2 sees, and which λ is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.detectors.lambda_curve import LambdaCurve, choose_lambda, draw_lambda_curve, split_in_halves


def _curve(left_out: list[list[float]], lambdas: tuple[float, ...] = (0.0, 0.1, 1.0)) -> LambdaCurve:
    values = np.array(left_out)
    kinds = np.array([f"kind {i}" for i in range(values.shape[1])])
    return LambdaCurve(np.array(lambdas), kinds, values, np.full_like(values, np.nan), False)


def test_zero_is_chosen_where_nothing_gains_enough() -> None:
    curve = _curve([[0.90, 0.80], [0.904, 0.804], [0.85, 0.80]])
    assert choose_lambda(curve, margin=0.005, tolerance=0.005) == 0.0


def test_best_mean_gain_is_chosen_among_those_that_cost_no_kind() -> None:
    curve = _curve([[0.90, 0.80], [0.92, 0.80], [0.89, 0.95]])
    assert choose_lambda(curve, margin=0.005, tolerance=0.005) == 0.1
    assert choose_lambda(curve, margin=0.005, tolerance=0.02) == 1.0


def _world() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    anomalies = np.concatenate([rng.normal(size=(10, 3)) + shift for shift in (3, 6, 9)])
    return rng.normal(size=(50, 3)), anomalies, np.repeat(["a", "b", "c"], 10)


def test_kind_left_out_is_never_shown_and_judged_normals_are_not_either() -> None:
    normals, anomalies, kinds = _world()
    calls: list[tuple[np.ndarray, np.ndarray, float]] = []
    judged: list[np.ndarray] = []

    def fine_tune(shown_normals, shown_anomalies, shown_kinds, weight):  # type: ignore[no-untyped-def]
        calls.append((shown_normals, shown_kinds, weight))
        assert len(shown_anomalies) == len(shown_kinds) == 14
        return lambda rows: judged.append(rows) or rows.sum(axis=1) * (1 if weight < 1 else -1)

    curve = draw_lambda_curve(fine_tune, normals, anomalies, kinds, (1.0, 0.5, 1.0), seed=0)
    assert curve.lambdas.tolist() == [0.0, 0.5, 1.0]
    assert curve.kinds.tolist() == ["a", "b", "c"]
    assert not curve.halves
    assert [sorted(set(shown)) for _normals, shown, _weight in calls[::3]] == [
        ["b", "c"],
        ["a", "c"],
        ["a", "b"],
    ]
    assert [weight for _normals, _shown, weight in calls[:3]] == [0.0, 0.5, 1.0]
    assert {len(shown) for shown, _kinds, _weight in calls} == {35}
    held = judged[0]
    assert len(held) == 15
    assert not (held[:, None] == calls[0][0][None]).all(axis=2).any()
    assert (curve.left_out_auroc[:2] > 0.9).all()
    assert (curve.left_out_auroc[2] < 0.1).all()
    assert (curve.known_auroc[:2] > 0.9).all()


def test_one_kind_is_cut_into_halves_along_its_main_direction() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(9, 2)) * 0.1 + np.linspace(-5, 5, 9)[:, None] * np.array([[1.0, 0.0]])
    halves = split_in_halves(rows, np.full(9, "scan"))
    assert len({*halves[:5]}) == 1
    assert len({*halves[5:]}) == 1
    assert set(halves) == {"scan (half 1)", "scan (half 2)"}
    curve = draw_lambda_curve(
        lambda *_shown: lambda judged: judged[:, 1], rows, rows, np.full(9, "scan"), (1.0,), seed=0
    )
    assert curve.halves
    assert len(curve.kinds) == 2


def test_known_auroc_is_missing_where_no_row_can_be_spared() -> None:
    rng = np.random.default_rng(2)
    curve = draw_lambda_curve(
        lambda *_shown: lambda judged: judged[:, 0],
        rng.normal(size=(20, 2)),
        rng.normal(size=(6, 2)),
        np.repeat(["a", "b", "c"], 2),
        (1.0,),
        seed=0,
    )
    assert np.isnan(curve.known_auroc).all()
    assert np.isfinite(curve.left_out_auroc).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_rows_held_back_depend_on_the_seed_alone(seed: int) -> None:
    normals, anomalies, kinds = _world()

    def first_shown(seed: int) -> np.ndarray:
        seen: list[np.ndarray] = []

        def fine_tune(shown, *_rest):  # type: ignore[no-untyped-def]
            seen.append(shown)
            return lambda rows: rows[:, 0]

        draw_lambda_curve(fine_tune, normals, anomalies, kinds, (1.0,), seed=seed)
        return seen[0]

    np.testing.assert_array_equal(first_shown(seed), first_shown(seed))
    assert not np.array_equal(first_shown(seed), first_shown(seed + 7))
