r"""Synthetic anomalies of table rows: what a pasted texture is to a picture.

.. math:: x' = (1 - M) \odot x + M \odot \big(\beta\, t + (1 - \beta)\, x\big), \qquad \beta \sim U(0.1, 1)

the formula of :mod:`unseen.nn.synthetic` with another mask and other textures. M: each feature with a
probability that is itself drawn from U(0.05, 1), at least one. t: for half of the rows another normal row,
a partner (features that do not belong together), for the other half a point of the box around the normals of
all domains, widened by half its length on every side (values that are not usual). Partners should be of the
same domain where it has enough rows: a whole row of another domain is no anomaly to a zero-shot score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.types import FloatArray

_OPACITY = (0.1, 1.0)
_LEAST_SHARE = 0.05
_WIDENING = 0.5


def row_anomalies(
    rows: FloatArray, bank: FloatArray, partners: FloatArray, n_each: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Make anomalies from rows.

    Parameters
    ----------
    rows : float array of shape (n_rows, n_features)
        Normals x.
    bank : float array of shape (n_bank, n_features)
        Normals of all domains, at least one. A feature that does not vary among them counts as one of
        length 1.
    partners : float array of shape (n_partners, n_features)
        Normals to mix with; with fewer than two of them there are no mixtures.
    n_each : int >= 1
        Anomalies a row.
    generator : numpy.random.Generator
        Draws.

    Returns
    -------
    float32 array of shape (n_rows, n_each, n_features)
    """
    shape = (len(rows), n_each, rows.shape[1])
    low, high = bank.min(axis=0).astype(np.float64), bank.max(axis=0).astype(np.float64)
    length = np.where(high > low, high - low, 1.0)
    share = generator.uniform(_LEAST_SHARE, 1.0, size=(*shape[:2], 1))
    lots = generator.random(shape)
    mask = (lots < share) | (lots == lots.min(axis=2, keepdims=True))
    opacity = generator.uniform(*_OPACITY, size=(*shape[:2], 1))
    texture = generator.uniform(low - _WIDENING * length, high + _WIDENING * length, size=shape)
    foreign = generator.random(shape[:2]) < 0.5 if len(partners) > 1 else np.zeros(shape[:2], dtype=np.bool_)
    texture[foreign] = partners[generator.integers(len(partners), size=int(foreign.sum()))]
    base = rows[:, None, :].astype(np.float64)
    return np.asarray(base + mask * opacity * (texture - base), dtype=np.float32)
