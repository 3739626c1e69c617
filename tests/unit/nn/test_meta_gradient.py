"""The outer step on families of quadratics: its sign, and both orders against numerical derivatives."""

from __future__ import annotations

import pytest
import torch

from unseen.nn.meta_gradient import gradient_and_loss, inner_steps, meta_gradient

CENTRES = [torch.tensor([3.0, 1.0], dtype=torch.float64), torch.tensor([1.0, 3.0], dtype=torch.float64)]
CURVES = torch.tensor([1.0, 0.5], dtype=torch.float64)
START = {"a": torch.zeros(1, dtype=torch.float64), "b": torch.zeros(1, dtype=torch.float64)}


def quadratic(centre):
    def loss(theta):
        return (CURVES * (torch.cat([theta["a"], theta["b"]]) - centre).square()).sum() / 2

    return loss


def curved(centre):
    """Not quadratic, so that the second derivative varies."""

    def loss(theta):
        moved = torch.cat([theta["a"], theta["b"]]) - centre
        return (CURVES * moved.square()).sum() / 2 + moved.pow(4).sum() / 50

    return loss


def outer_step(theta, gradients, *, lr):
    """Plain descent along the mean of the tasks' gradients."""
    return {
        k: v - lr * torch.stack([gradient[k] for gradient in gradients]).mean(dim=0) for k, v in theta.items()
    }


def vector(theta):
    return torch.cat([theta["a"], theta["b"]])


def numerical(function, theta, step=1e-5):
    """Central differences."""
    point = vector(theta)
    gradient = torch.zeros_like(point)
    for i in range(len(point)):
        ends = []
        for sign in (1, -1):
            moved = point.clone()
            moved[i] += sign * step
            ends.append(float(function({"a": moved[:1], "b": moved[1:]})))
        gradient[i] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def test_inner_steps_are_gradient_descent_by_hand():
    adapted = inner_steps(quadratic(CENTRES[0]), START, steps=2, lr=0.1)
    expected = [3 * (1 - 0.9**2), 1 * (1 - 0.95**2)]
    torch.testing.assert_close(vector(adapted), torch.tensor(expected, dtype=torch.float64))
    assert vector(START).tolist() == [0, 0]
    assert inner_steps(quadratic(CENTRES[0]), START, steps=0, lr=0.1) == START


@pytest.mark.parametrize("order", ["first", "second"])
def test_one_outer_step_moves_towards_the_adapted_parameters_and_lowers_the_query_loss(order):
    found = [
        meta_gradient(quadratic(c), quadratic(c + 0.1), START, steps=5, lr=0.1, order=order) for c in CENTRES
    ]
    moved = outer_step(START, [item.gradient for item in found], lr=0.1)
    for item in found:
        towards = vector(item.adapted) - vector(START)
        step = vector(moved) - vector(START)
        assert float(step @ towards) > 0
        assert float((vector(item.adapted) - vector(moved)).norm()) < float(towards.norm())
    again = [
        meta_gradient(quadratic(c), quadratic(c + 0.1), moved, steps=5, lr=0.1, order=order) for c in CENTRES
    ]
    assert sum(float(i.query_loss) for i in again) < sum(float(i.query_loss) for i in found)
    assert sum(float(i.support_loss) for i in again) < sum(float(i.support_loss) for i in found)


def test_many_outer_steps_reach_the_best_start():
    """For equal curvatures the start that is best after adaptation lies midway between the tasks."""
    theta = START
    for _ in range(300):
        found = [meta_gradient(quadratic(c), quadratic(c), theta, steps=3, lr=0.2) for c in CENTRES]
        theta = outer_step(theta, [item.gradient for item in found], lr=0.2)
    torch.testing.assert_close(vector(theta), torch.full((2,), 2.0, dtype=torch.float64), atol=1e-6, rtol=0)


def test_second_order_is_the_derivative_through_all_inner_steps():
    support, query = curved(CENTRES[0]), curved(CENTRES[1])

    def through(theta):
        return query(inner_steps(support, theta, steps=4, lr=0.1))

    found = meta_gradient(support, query, START, steps=4, lr=0.1, order="second")
    torch.testing.assert_close(vector(found.gradient), numerical(through, START), rtol=1e-6, atol=1e-8)


def test_first_order_is_the_derivative_at_the_adapted_parameters_and_differs_from_the_second():
    support, query = curved(CENTRES[0]), curved(CENTRES[1])
    first = meta_gradient(support, query, START, steps=4, lr=0.1)
    expected = numerical(query, first.adapted)
    torch.testing.assert_close(vector(first.gradient), expected, rtol=1e-6, atol=1e-8)
    second = meta_gradient(support, query, START, steps=4, lr=0.1, order="second")
    torch.testing.assert_close(vector(first.adapted), vector(second.adapted))
    assert float((vector(first.gradient) - vector(second.gradient)).abs().min()) > 0.05


def test_without_inner_steps_both_orders_are_the_gradient_of_the_query_loss():
    for order in ("first", "second"):
        found = meta_gradient(curved(CENTRES[0]), curved(CENTRES[1]), START, steps=0, lr=0.1, order=order)
        torch.testing.assert_close(vector(found.gradient), numerical(curved(CENTRES[1]), START))


def test_parameters_that_a_loss_does_not_read_stay():
    gradient, value = gradient_and_loss(lambda theta: theta["a"].square().sum(), START)
    assert gradient["b"].tolist() == [0]
    gradient, value = gradient_and_loss(lambda theta: torch.tensor(2.0), START)
    assert float(value) == 2
    assert vector(gradient).tolist() == [0, 0]


@pytest.mark.parametrize("order", ["first", "second"])
def test_a_share_of_the_start_mixes_both_query_gradients(order):
    support, query = curved(CENTRES[0]), curved(CENTRES[1])
    mixed, adapted = (
        meta_gradient(support, query, START, steps=3, lr=0.1, order=order, start_share=share).gradient
        for share in (0.25, 0.0)
    )
    start = numerical(query, START)
    torch.testing.assert_close(vector(mixed), 0.25 * start + 0.75 * vector(adapted), atol=1e-6, rtol=1e-5)
    alone = meta_gradient(support, query, START, steps=3, lr=0.1, order=order, start_share=1.0).gradient
    torch.testing.assert_close(vector(alone), start, atol=1e-6, rtol=1e-5)
