"""Checks of the parameters that all detectors of pictures share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unseen.checks import check_choice, check_int, check_real
from unseen.errors import ParameterError
from unseen.pixels import check_size

FOREGROUNDS = ("all", "estimate", "hull")


def check_shared_parameters(owner: Any) -> None:
    """Check what every detector of pictures has, beyond the parameters of all detectors.

    Parameters
    ----------
    owner : BaseImageDetector
        The detector.

    Raises
    ------
    ParameterError
        If one cannot be used.
    """
    who = type(owner).__name__
    check_size(owner, owner.image_size, name="image_size")
    if not isinstance(owner.backbone, str):
        raise ParameterError(f"{who}: backbone must be a name or a folder as text.")
    strides = owner.strides
    if not isinstance(strides, Sequence) or len(set(strides)) != len(strides):
        raise ParameterError(f"{who}: strides must be different whole numbers.")
    for stride in strides:
        check_int(owner, "strides", stride, minimum=1)
    check_int(owner, "pool", owner.pool, minimum=1)
    check_real(owner, "top_share", owner.top_share, minimum=0, maximum=1)
    check_real(owner, "smoothing", owner.smoothing, minimum=0)
    check_int(owner, "batch_size", owner.batch_size, minimum=1)
    check_int(owner, "calibration_folds", owner.calibration_folds, minimum=0)
    if owner.rotations != "auto":
        check_int(owner, "rotations", owner.rotations, minimum=1)
    check_choice(owner, "foreground", owner.foreground, FOREGROUNDS)
