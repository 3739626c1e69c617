"""Gradient of an outer loss through the optimum of an inner one.

For inner parameters θ*(φ) = argmin_θ L_in(θ, φ) the implicit function theorem gives::

    dL_out/dφ = ∂L_out/∂φ − (∂²L_in/∂φ∂θ) H⁻¹ ∂L_out/∂θ,    H = ∂²L_in/∂θ² + damping · I

(Roy, Mili & Boker, eq. 12 and 13). ``H⁻¹ v`` is solved by conjugate gradients on Hessian-vector products, so
that no Hessian is ever formed. Without the second term this is the first-order gradient (eq. 14).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.func import grad, jvp, vjp

Parameters: TypeAlias = dict[str, Tensor]
Loss: TypeAlias = Callable[[Parameters, Parameters], Tensor]
"""``loss(theta, phi)`` to a scalar."""


def implicit_hypergradient(
    inner_loss: Loss,
    outer_loss: Loss,
    theta: Parameters,
    phi: Parameters,
    *,
    damping: float,
    iterations: int,
) -> Parameters:
    """Return dL_out/dφ at θ = θ*(φ).

    Parameters
    ----------
    inner_loss, outer_loss : callable
        ``loss(theta, phi)``, twice differentiable, deterministic.
    theta : dict of str to Tensor
        θ, at (or near) a minimum of the inner loss.
    phi : dict of str to Tensor
        φ.
    damping : float >= 0
        Added to the diagonal of the inner Hessian; needed away from a strict minimum.
    iterations : int >= 1
        Most conjugate-gradient steps.

    Returns
    -------
    dict of str to Tensor
        One entry for each of ``phi``.
    """
    outer_theta, outer_phi = grad(outer_loss, argnums=(0, 1))(theta, phi)

    def inner_gradient(at: Parameters) -> Parameters:
        gradient: Parameters = grad(inner_loss)(at, phi)
        return gradient

    def damped_hessian(vector: Parameters) -> Parameters:
        product = jvp(inner_gradient, (theta,), (vector,))[1]
        return {name: product[name] + damping * vector[name] for name in vector}

    solution = conjugate_gradient(damped_hessian, outer_theta, iterations=iterations)
    pull_back = vjp(lambda at: grad(inner_loss)(theta, at), phi)[1]
    (mixed,) = pull_back(solution)
    return {name: outer_phi[name] - mixed[name] for name in phi}


def conjugate_gradient(
    apply: Callable[[Parameters], Parameters], target: Parameters, *, iterations: int, tolerance: float = 1e-6
) -> Parameters:
    """Solve ``apply(x) = target`` for a symmetric positive definite linear map.

    Parameters
    ----------
    apply : callable
        The linear map.
    target : dict of str to Tensor
        The right-hand side.
    iterations : int >= 1
        Most steps.
    tolerance : float
        Stops once the residual is this small a share of the target, or where the map turns out not to be
        positive along a direction; what has been found so far is returned then.

    Returns
    -------
    dict of str to Tensor
    """
    solution = {name: torch.zeros_like(value) for name, value in target.items()}
    residual = dict(target)
    direction = dict(target)
    energy = start = _dot(residual, residual)
    for _ in range(iterations):
        if energy <= tolerance**2 * start:
            break
        image = apply(direction)
        curvature = _dot(direction, image)
        if curvature <= 0:
            break
        step = energy / curvature
        solution = {name: solution[name] + step * direction[name] for name in solution}
        residual = {name: residual[name] - step * image[name] for name in residual}
        updated = _dot(residual, residual)
        direction = {name: residual[name] + updated / energy * direction[name] for name in direction}
        energy = updated
    return solution


def _dot(left: Parameters, right: Parameters) -> Tensor:
    return torch.stack([(left[name] * right[name]).sum() for name in left]).sum()
