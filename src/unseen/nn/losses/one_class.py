"""Binary cross-entropy of the probability of being normal, as a pure function.

    p_normal(x) = softmax(ℓ(x) / T)_0 = sigmoid(−a(x) / T),    a(x) = ℓ_1(x) − ℓ_0(x)

ℓ are the two logits of the head (index 0 normal), T the temperature (Roy, Mili & Boker, eq. 1, 3 and 5).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def anomaly_logit(logits: Tensor, temperature: Tensor | float = 1.0) -> Tensor:
    """Return a(x) / T, shape (n_rows,): the log-odds of being anomalous.

    It orders rows as ``1 − p_normal`` does, without the ties that the softmax makes where it saturates.

    Parameters
    ----------
    logits : Tensor of shape (n_rows, 2)
        Normal first.
    temperature : scalar Tensor or float > 0
        T.

    Returns
    -------
    Tensor of shape (n_rows,)
    """
    return (logits[:, 1] - logits[:, 0]) / temperature


def one_class_loss(logits: Tensor, *, normal: bool, temperature: Tensor | float = 1.0) -> Tensor:
    """Return the mean of BCE(p_normal, 1), or of BCE(p_normal, 0).

    Parameters
    ----------
    logits : Tensor of shape (n_rows, 2)
        Normal first.
    normal : bool
        Whether the rows are normals (target 1) or anomalies (target 0).
    temperature : scalar Tensor or float > 0
        T; the inner loop has 1.

    Returns
    -------
    scalar Tensor, >= 0
        In nats. Alone, on normals only, it is 0 in the limit for the answer "everything is normal".
    """
    log_odds = anomaly_logit(logits, temperature)
    return F.softplus(log_odds if normal else -log_odds).mean()
