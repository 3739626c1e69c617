"""How much each cue counts, learned from pictures that heads have not seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.detectors.images.head_fitting import train_heads
from unseen.nn.cue_heads import CueHeads, HeadOutputs
from unseen.nn.cues import FLOOR
from unseen.nn.patches.look_inputs import LookInputs
from unseen.nn.patches.normal_folds import drawn_folds
from unseen.scoring.cue_weights import learned_weights, skilled_prior

_FOLDS = 3
_AT_ONCE = 16


def weights_of(
    owner: Any,
    looks: LookInputs,
    normal: NDArray[np.int64],
    anomalous: NDArray[np.int64],
    *,
    groups: NDArray[np.int64],
    build: Callable[[], CueHeads],
    cues_of: Callable[[HeadOutputs], Tensor],
) -> NDArray[np.float64]:
    """Return the weights of cues that tell labelled anomalies from normals, both left out.

    Parameters
    ----------
    owner : detector
        With ``weights``, where they start from, and the parameters of the training.
    looks : LookInputs
        Gives the heads what they see.
    normal : int64 array
        Rows of normals.
    anomalous : int64 array
        Rows of labelled anomalies.
    groups : int64 array of shape (n_pictures,)
        Normals of one group are left out together, and so are labelled anomalies.
    build : callable
        Makes heads that are not trained yet.
    cues_of : callable
        Cues (n, n_cues) on [0, 1] from what the heads say.

    Returns
    -------
    float64 array of shape (n_cues,)
        Of sum 1; those of the owner where there is too little to learn from.
    """
    prior = np.asarray(owner.weights, dtype=np.float64)
    enough = len(anomalous) > (0 if owner.synthetic else 1) and len(normal) >= _FOLDS
    if not enough:
        return np.asarray(prior / prior.sum())
    logs = {}
    rows = np.concatenate([normal, anomalous])
    draw = np.random.default_rng(owner.seed)
    fold = np.concatenate([drawn_folds(groups[r], len(r), _FOLDS, draw) for r in (normal, anomalous)])
    anomaly = np.arange(len(rows)) >= len(normal)
    for number in np.unique(fold).tolist():
        heads, rest = build(), fold != number
        train_heads(owner, heads, looks, rows[rest & ~anomaly], rows[rest & anomaly])
        for row, values in zip(rows[~rest], _cues(heads, looks, rows[~rest], cues_of), strict=True):
            logs[int(row)] = np.log(np.maximum(values, FLOOR))
    of_normals = np.stack([logs[row] for row in normal.tolist()])
    of_anomalies = np.stack([logs[row] for row in anomalous.tolist()])
    return learned_weights(of_normals, of_anomalies, skilled_prior(of_normals, of_anomalies, prior))


def _cues(
    heads: CueHeads, looks: LookInputs, rows: NDArray[np.int64], cues_of: Callable[[HeadOutputs], Tensor]
) -> NDArray[np.float64]:
    found = []
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        inputs, _ = looks(some, np.zeros(len(some), dtype=np.int64))
        with torch.inference_mode():
            found.append(cues_of(heads.to(inputs.device)(inputs)).double().cpu().numpy())
    return np.concatenate(found)
