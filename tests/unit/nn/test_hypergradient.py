"""The implicit hypergradient against numerical derivatives and a closed form."""

import pytest
import torch
from torch import Tensor

from unseen.nn.hypergradient import conjugate_gradient, implicit_hypergradient


def quadratic(dtype: torch.dtype = torch.float64):
    """L_in = ½ θᵀAθ − θᵀBφ, so θ*(φ) = A⁻¹Bφ; L_out = ½ ‖θ − c‖² + φ·d."""
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(4, 4, generator=generator, dtype=dtype)
    A = root @ root.T + torch.eye(4, dtype=dtype)
    B = torch.randn(4, 3, generator=generator, dtype=dtype)
    c, d = torch.randn(4, generator=generator, dtype=dtype), torch.randn(3, generator=generator, dtype=dtype)
    phi = torch.randn(3, generator=generator, dtype=dtype)

    def inner(theta: dict[str, Tensor], phi: dict[str, Tensor]) -> Tensor:
        return 0.5 * theta["t"] @ A @ theta["t"] - theta["t"] @ B @ phi["p"]

    def outer(theta: dict[str, Tensor], phi: dict[str, Tensor]) -> Tensor:
        return 0.5 * (theta["t"] - c).square().sum() + phi["p"] @ d

    return inner, outer, A, B, c, d, phi


def test_quadratic_problem_has_the_closed_form_hypergradient():
    inner, outer, A, B, c, d, phi = quadratic()
    best = torch.linalg.solve(A, B @ phi)
    gradient = implicit_hypergradient(inner, outer, {"t": best}, {"p": phi}, damping=0.0, iterations=20)
    expected = d + torch.linalg.solve(A, B).T @ (best - c)
    torch.testing.assert_close(gradient["p"], expected)


def test_agrees_with_a_numerical_derivative_through_the_inner_optimum():
    """Non-quadratic inner loss, minimised anew for each shifted φ."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(30, 3, generator=generator, dtype=torch.float64)
    target = torch.randn(30, generator=generator, dtype=torch.float64)

    def inner(theta: dict[str, Tensor], phi: dict[str, Tensor]) -> Tensor:
        prediction = torch.tanh(rows @ theta["w"]) * phi["gain"] + phi["shift"]
        return (prediction - target).square().mean() + 0.1 * theta["w"].square().sum()

    def outer(theta: dict[str, Tensor], phi: dict[str, Tensor]) -> Tensor:
        return torch.sin(theta["w"]).sum() + theta["w"].square().sum() * phi["gain"]

    def optimum(phi: dict[str, Tensor]) -> dict[str, Tensor]:
        w = torch.full((3,), 0.1, dtype=torch.float64, requires_grad=True)
        solver = torch.optim.LBFGS(
            [w], max_iter=500, tolerance_grad=1e-13, tolerance_change=0, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            solver.zero_grad()
            loss = inner({"w": w}, phi)
            loss.backward()
            return loss

        for _ in range(5):
            solver.step(closure)
        return {"w": w.detach()}

    phi = {"gain": torch.tensor(1.3, dtype=torch.float64), "shift": torch.tensor(0.2, dtype=torch.float64)}
    gradient = implicit_hypergradient(inner, outer, optimum(phi), phi, damping=0.0, iterations=30)
    step = 1e-4
    for name in phi:
        ends = []
        for sign in (1, -1):
            moved = dict(phi, **{name: phi[name] + sign * step})
            ends.append(outer(optimum(moved), moved))
        assert gradient[name].item() == pytest.approx(((ends[0] - ends[1]) / (2 * step)).item(), rel=1e-3)


def test_heavy_damping_leaves_the_first_order_gradient():
    inner, outer, _, _, _, d, phi = quadratic()
    gradient = implicit_hypergradient(
        inner, outer, {"t": torch.ones(4, dtype=torch.float64)}, {"p": phi}, damping=1e12, iterations=5
    )
    torch.testing.assert_close(gradient["p"], d, rtol=0, atol=1e-9)


def test_conjugate_gradient_solves_in_as_many_steps_as_dimensions():
    matrix = torch.diag(torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64))
    target = {"v": torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)}
    solved = conjugate_gradient(lambda x: {"v": matrix @ x["v"]}, target, iterations=3)
    torch.testing.assert_close(solved["v"], torch.tensor([1.0, 0.2, 0.03], dtype=torch.float64))


def test_conjugate_gradient_stops_where_the_map_is_not_positive():
    target = {"v": torch.tensor([1.0, 1.0])}
    solved = conjugate_gradient(lambda x: {"v": -x["v"]}, target, iterations=10)
    assert torch.equal(solved["v"], torch.zeros(2))
