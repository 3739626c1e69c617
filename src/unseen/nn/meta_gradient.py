r"""Model-agnostic meta-learning: adapt to a task by a few steps, learn where to start from.

For parameters θ, a support loss S and a query loss Q of one task (C. Finn, P. Abbeel, S. Levine,
"Model-Agnostic Meta-Learning", ICML 2017)

.. math:: \theta'_0 = \theta, \qquad \theta'_{k+1} = \theta'_k - a \nabla S(\theta'_k), \qquad
          g = \nabla Q(\theta'_K)

The outer step is :math:`\theta \leftarrow \theta - b\, g`: *against* the gradient of the query loss. To first
order g is taken at the adapted parameters; to second order it is the gradient of
:math:`\theta \mapsto Q(\theta'_K(\theta))`, through all inner steps (``torch.func``).

Nothing in g asks θ to be good where no step is taken. With a share :math:`\rho` of the start

.. math:: g = \rho\, \nabla Q(\theta) + (1 - \rho)\, \nabla Q(\theta'_K)

which is the loss over several numbers of steps (A. Antoniou, H. Edwards, A. Storkey, "How to train your
MAML", ICLR 2019) for the two numbers that are used: none, and K.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.func import grad, grad_and_value

Parameters: TypeAlias = dict[str, Tensor]
TaskLoss: TypeAlias = Callable[[Parameters], Tensor]
"""Parameters to a scalar; the same value for the same parameters."""

ORDERS = ("first", "second")


class MetaGradient(NamedTuple):
    """What one task says about where to start from.

    Attributes
    ----------
    gradient : dict of str to Tensor
        g.
    adapted : dict of str to Tensor
        θ'_K, without a graph.
    support_loss, query_loss : scalar Tensor
        S(θ) before the first inner step, and Q(θ'_K); without a graph.
    """

    gradient: Parameters
    adapted: Parameters
    support_loss: Tensor
    query_loss: Tensor


def inner_steps(loss: TaskLoss, theta: Parameters, *, steps: int, lr: float) -> Parameters:
    """Return θ'_K, without a graph; ``theta`` itself is not changed.

    Parameters
    ----------
    loss : callable
        S.
    theta : dict of str to Tensor
        θ.
    steps : int >= 0
        K.
    lr : float > 0
        a.

    Returns
    -------
    dict of str to Tensor
    """
    adapted = {name: value.detach() for name, value in theta.items()}
    for _ in range(steps):
        gradient, _ = gradient_and_loss(loss, adapted)
        adapted = {name: value - lr * gradient[name] for name, value in adapted.items()}
    return adapted


def gradient_and_loss(loss: TaskLoss, theta: Parameters) -> tuple[Parameters, Tensor]:
    """Return the gradient of a loss and its value, both without a graph.

    Parameters
    ----------
    loss : callable
        From parameters to a scalar. Parameters that it does not read have a gradient of 0.
    theta : dict of str to Tensor
        Where.

    Returns
    -------
    gradient : dict of str to Tensor
    value : scalar Tensor
    """
    leaves = {name: value.detach().requires_grad_() for name, value in theta.items()}
    with torch.enable_grad():
        value = loss(leaves)
        if not value.requires_grad:
            return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}, value.detach()
        found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    gradient = {
        name: torch.zeros_like(leaf) if part is None else part
        for (name, leaf), part in zip(leaves.items(), found, strict=True)
    }
    return gradient, value.detach()


def meta_gradient(
    support_loss: TaskLoss,
    query_loss: TaskLoss,
    theta: Parameters,
    *,
    steps: int,
    lr: float,
    order: str = "first",
    start_share: float = 0.0,
) -> MetaGradient:
    """Return the gradient of the outer step for one task.

    Parameters
    ----------
    support_loss, query_loss : callable
        S and Q.
    theta : dict of str to Tensor
        θ.
    steps : int >= 0
        K; with 0 the gradient is that of Q at θ, in both orders.
    lr : float > 0
        a.
    order : {"first", "second"}
        See the top of this file.
    start_share : float in [0, 1]
        ρ.

    Returns
    -------
    MetaGradient
    """
    found = _gradient_after_steps(support_loss, query_loss, theta, steps=steps, lr=lr, order=order)
    if start_share == 0:
        return found
    at_start, _ = gradient_and_loss(query_loss, theta)
    mixed = {
        name: start_share * at_start[name] + (1 - start_share) * part for name, part in found.gradient.items()
    }
    return found._replace(gradient=mixed)


def _gradient_after_steps(
    support_loss: TaskLoss, query_loss: TaskLoss, theta: Parameters, *, steps: int, lr: float, order: str
) -> MetaGradient:
    """:func:`meta_gradient` without a share of the start."""
    start = {name: value.detach() for name, value in theta.items()}
    with torch.no_grad():
        before = support_loss(start)
    if order == "first":
        adapted = inner_steps(support_loss, start, steps=steps, lr=lr)
        gradient, after = gradient_and_loss(query_loss, adapted)
        return MetaGradient(gradient, adapted, before, after)

    def through(at: Parameters) -> tuple[Tensor, Parameters]:
        for _ in range(steps):
            gradient = grad(support_loss)(at)
            at = {name: value - lr * gradient[name] for name, value in at.items()}
        return query_loss(at), at

    gradient, (after, reached) = grad_and_value(through, has_aux=True)(start)
    return MetaGradient(gradient, {k: v.detach() for k, v in reached.items()}, before, after.detach())
