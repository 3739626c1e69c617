"""Fit heads on the looks of pictures: what the detectors with trained heads share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from unseen.checks import check_choice, check_int, check_real
from unseen.detectors.images.inputs import labels_of, masks_of
from unseen.detectors.images.looking import Seeing
from unseen.detectors.images.starting import Start, domain_codes
from unseen.errors import LabelError
from unseen.nn.cue_heads import CueHeads, HeadOutputs
from unseen.nn.deviation_training import REWEIGHTINGS, CueTraining, HeadSchedule, Known, Trained
from unseen.nn.device import resolve_device
from unseen.nn.fine_tuning import fine_tuned
from unseen.nn.patches.head_inputs import (
    NEED_A_BANK,
    PLACED,
    bank_of,
    local_centre,
    own_statistics,
    residual_statistics,
    whitening_statistics,
)
from unseen.nn.patches.local_distance import local_spread
from unseen.nn.patches.look_inputs import LookInputs
from unseen.nn.patches.pictures import SomePictures, as_source
from unseen.nn.randomness import isolated_randomness
from unseen.nn.synthetic import SyntheticAnomalies
from unseen.nn.training import check_schedule
from unseen.pixels import check_size, resize_mask
from unseen.scoring.calibration import hold_back
from unseen.types import BoolArray, FloatArray, Labels

_LEAST_SCALE = 1e-3

MOST_COMPARED = 4000
"""Patches of a bank whose patches are compared with one another."""


def check_head_parameters(owner: Any) -> None:
    """Check the parameters of the training of heads.

    Parameters
    ----------
    owner : detector
        With the parameters of :class:`~unseen.detectors.images.multi_cue.MultiCue` that this reads.

    Raises
    ------
    ParameterError
        If one is out of range.
    """
    check_schedule(owner, epochs=owner.epochs, batch_size=owner.head_batch, lr=owner.lr)
    check_int(owner, "epochs", owner.epochs, minimum=1)
    check_int(owner, "synthetic", owner.synthetic, minimum=0)
    check_choice(owner, "reweighting", owner.reweighting, REWEIGHTINGS)
    check_real(owner, "weight_decay", owner.weight_decay, minimum=0)
    check_real(owner, "margin", owner.margin, minimum=0, open_minimum=True)
    check_real(owner, "alpha", owner.alpha)
    check_real(owner, "reweighting_scale", owner.reweighting_scale, minimum=0, open_minimum=True)
    check_real(owner, "burn_in", owner.burn_in, minimum=0, maximum=1)
    check_real(owner, "real_share", owner.real_share, minimum=0, maximum=1)
    check_real(owner, "deviation_rate", owner.deviation_rate, minimum=0)
    check_real(owner, "top_share", owner.top_share, minimum=0, maximum=1, open_minimum=True)


def schedule_of(owner: Any) -> HeadSchedule:
    """Return the schedule that the parameters of a detector describe.

    Parameters
    ----------
    owner : detector
        As for :func:`check_head_parameters`.

    Returns
    -------
    HeadSchedule
    """
    return HeadSchedule(
        epochs=owner.epochs,
        batch_size=owner.head_batch,
        lr=owner.lr,
        weight_decay=owner.weight_decay,
        margin=owner.margin,
        reweighting=owner.reweighting,
        alpha=owner.alpha,
        scale=owner.reweighting_scale,
        burn_in=owner.burn_in,
        real_share=owner.real_share,
        deviation_rate=owner.deviation_rate,
    )


def _deviation(outputs: HeadOutputs) -> Tensor:
    return outputs.deviation


def looks_of(owner: Any, V: FloatArray, labels: Labels, start: Start) -> LookInputs:
    """Return what the heads see; residuals are those to other pictures of the same domain.

    Parameters
    ----------
    owner : detector
        With ``bank_size``, ``trimmed``, ``seed`` and ``device``; its ``statistics_`` are set.
    V : float array of shape (n_pictures, n_looks, channels + 2, height, width)
        Patch features.
    labels : Labels
        Of the pictures.
    start : Start
        What they see, and distances that are known.

    Returns
    -------
    LookInputs
    """
    place = resolve_device(owner.device)
    groups, codes = domain_codes(labels)
    seen = [torch.from_numpy(np.ascontiguousarray(V[rows, 0, :-2])) for rows in groups[: codes.max() + 1]]
    owner.statistics_ = _shared_statistics(owner, seen, start.kind)
    if start.lengths is not None:
        of_normals = start.lengths[labels.normal, 0].astype(np.float64)
        scale = max(float(of_normals.std()), _LEAST_SCALE)
        owner.statistics_["length_centre"] = np.array([of_normals.mean()], dtype=np.float32)
        owner.statistics_["length_scale"] = np.array([scale], dtype=np.float32)
    memories = []
    for features in seen:
        arrays = common_memory_of(owner, features, start.kind)
        if start.kind in NEED_A_BANK:
            size = min(owner.bank_size, MOST_COMPARED)
            arrays |= bank_of(features, size=size, trimmed=owner.trimmed, seed=owner.seed)
        memories.append({name: torch.from_numpy(values).to(place) for name, values in arrays.items()})
    return LookInputs(V, memories, codes, labels.normal, kind=start.kind, device=place, lengths=start.lengths)


def _shared_statistics(owner: Any, features: Sequence[Tensor], kind: str) -> dict[str, NDArray[np.float32]]:
    """What the memories of all domains share; nothing if the heads see features alone."""
    if kind in PLACED:
        shared = whitening_statistics(features)
        return shared | {"spread": local_spread(features)} if kind == "local" else shared
    if kind not in NEED_A_BANK:
        return {}
    size = min(owner.bank_size, MOST_COMPARED)
    found = bank_of(features[0], size=size, trimmed=owner.trimmed, seed=owner.seed)
    bank = {name: torch.from_numpy(values) for name, values in found.items()}
    return residual_statistics(features[0], **bank)


def common_memory_of(owner: Any, features: Tensor, kind: str) -> dict[str, NDArray[Any]]:
    """Return what is remembered of a domain beside distances, which training keeps by itself.

    Parameters
    ----------
    owner : detector
        As for :func:`looks_of`; its ``statistics_`` are set.
    features : float tensor of shape (n, channels, height, width)
        Of the normals.
    kind : str
        What the heads see.

    Returns
    -------
    dict of str to array
    """
    own = local_centre(features) if kind in PLACED else own_statistics(features)
    return {**own, **owner.statistics_}


def train_heads(
    owner: Any,
    heads: CueHeads,
    looks: LookInputs,
    normal: NDArray[np.int64],
    anomalous: NDArray[np.int64],
    judge: Callable[[HeadOutputs], Tensor] = _deviation,
) -> Trained:
    """Train heads on the looks of pictures.

    Parameters
    ----------
    owner : detector
        As for :func:`check_head_parameters`.
    heads : CueHeads
        Updated in place; left on the CPU in evaluation mode.
    looks : LookInputs
        Gives the heads what they see.
    normal : int64 array
        Rows taken for normal.
    anomalous : int64 array
        Rows known to be anomalies.
    judge : callable
        Scores pictures from what the heads say; their mean is kept.

    Returns
    -------
    Trained

    Raises
    ------
    LabelError
        If there is no anomaly to learn from, made up or labelled.
    """
    place = resolve_device(owner.device)
    if owner.synthetic == 0 and len(anomalous) == 0:
        raise LabelError(
            f"{type(owner).__name__}: nothing to learn from; label some anomalies, or have some made up "
            "with synthetic >= 1."
        )
    known = Known(looks, normal, anomalous, owner.synthetic)
    training = CueTraining(
        heads.to(place), known, schedule_of(owner), judge=judge, seed=owner.seed, place=place
    )
    trained = training.run(heads)
    heads.cpu().eval().requires_grad_(False)
    return trained


def tuned_network(
    owner: Any,
    seeing: Seeing,
    X: Any,
    y: ArrayLike | None,
    judge: Callable[[HeadOutputs], Tensor],
    *,
    kinds: ArrayLike | None,
    domains: ArrayLike | None,
    groups: ArrayLike | None,
    masks: Sequence[BoolArray | None] | None,
) -> nn.Module:
    """Return the network of a backbone, trained with heads on the pictures of a fit that are not held back.

    Parameters
    ----------
    owner : detector
        As for :func:`check_head_parameters`, with ``head_width`` and ``synthetic_foreground``.
    seeing : Seeing
        With the backbone to start from.
    X, y, kinds, domains, groups, masks
        As for ``fit``.
    judge : callable
        Scores pictures from what the heads say.

    Returns
    -------
    nn.Module
    """
    pictures = as_source(owner, X)
    labels = labels_of(owner, X, len(pictures), y, kinds, domains, groups)
    held = hold_back(labels, owner.calibration_fraction, owner.seed)
    rows = np.flatnonzero(~held & (labels.normal | labels.anomaly))
    size = check_size(owner, owner.image_size)
    found = masks_of(X, masks, rows, labels.anomaly[rows])
    make = SyntheticAnomalies(foreground=owner.synthetic_foreground) if owner.synthetic else None
    with isolated_randomness(owner.seed):
        return fine_tuned(
            seeing.backbone,
            SomePictures(pictures, rows),
            [None if mask is None else resize_mask(mask, size) for mask in found],
            labels.normal[rows],
            heads=lambda channels: CueHeads(channels, width=owner.head_width, top_share=owner.top_share),
            judge=judge,
            schedule=schedule_of(owner),
            size=size,
            strides=tuple(owner.strides),
            make=make,
            seed=owner.seed,
        )
