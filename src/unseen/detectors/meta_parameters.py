"""What the constructor parameters of multi-directional meta-learning may be."""

from __future__ import annotations

from typing import Any, Literal, get_args

from torch import nn

from unseen.checks import check_choice, check_int, check_real
from unseen.detectors.latent_novelty import CUES
from unseen.detectors.meta_training import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE
from unseen.errors import ParameterError
from unseen.nn.device import resolve_device
from unseen.nn.row_weighting import check_weighting

ScoreRule = Literal["fused", "head", "novelty"]
SCORE_RULES: tuple[str, ...] = get_args(ScoreRule)
ENCODERS = ("mlp", "conv1d")
ORDERS = ("first", "implicit")

_WHOLE_NUMBERS = {
    "latent": 1, "width": 1, "blocks": 0, "episodes": 1, "inner_steps": 1, "outer_steps": 0,
    "batch_size": 1, "outer_batch_size": 1, "first_shots": 1, "n_pseudo_domains": 1, "cg_iterations": 1,
    "n_neighbours": 1, "bank_rows": 1, "n_trees": 0, "tree_depth": 1,
}  # fmt: skip
_NOT_NEGATIVE = (
    "weight_decay", "reconstruction_weight", "margin_weight", "damping", "head_tolerance", "perturbation",
)  # fmt: skip
_WEIGHTS = ("head_weight", "tree_weight")


def check_meta_parameters(detector: Any) -> None:
    """Raise ParameterError if some parameter of a ``MultiDirectionalMeta`` is not allowed.

    Parameters
    ----------
    detector : MultiDirectionalMeta
        Its parameters are read, nothing is changed.
    """
    for name, least in _WHOLE_NUMBERS.items():
        check_int(detector, name, getattr(detector, name), minimum=least)
    for name in _NOT_NEGATIVE:
        check_real(detector, name, getattr(detector, name), minimum=0)
    for name in ("lr", "outer_lr"):
        check_real(detector, name, getattr(detector, name), minimum=0, open_minimum=True)
    for name in ("dropout", "drop_path"):
        check_real(detector, name, getattr(detector, name), minimum=0, maximum=1, open_maximum=True)
    check_real(detector, "margin", detector.margin, minimum=0, maximum=1)
    for name, most in (("domain_share", 1.0), ("validation_fraction", 0.5)):
        check_real(detector, name, getattr(detector, name), minimum=0, maximum=most, open_minimum=True)
    check_real(
        detector,
        "temperature",
        detector.temperature,
        minimum=LOWEST_TEMPERATURE,
        maximum=HIGHEST_TEMPERATURE,
        open_minimum=True,
        open_maximum=True,
    )
    if detector.patience is not None:
        check_int(detector, "patience", detector.patience, minimum=1)
    _check_choices(detector)


def _check_choices(detector: Any) -> None:
    if not isinstance(detector.encoder, nn.Module):
        check_choice(detector, "encoder", detector.encoder, ENCODERS)
    check_choice(detector, "order", detector.order, ORDERS)
    check_choice(detector, "score", detector.score, SCORE_RULES)
    for name in _WEIGHTS:
        value = getattr(detector, name)
        if isinstance(value, str):
            check_choice(detector, name, value, ["auto"])
        else:
            check_real(detector, name, value, minimum=0)
    if isinstance(detector.novelty_cues, str):
        check_choice(detector, "novelty_cues", detector.novelty_cues, ["auto"])
    else:
        for cue in detector.novelty_cues:
            check_choice(detector, "novelty_cues", cue, CUES)
        if len(detector.novelty_cues) == 0:
            raise ParameterError(
                f"{type(detector).__name__}: novelty_cues must name at least one cue, got none."
            )
    check_weighting(detector, detector.reweighting, 1.0, "median")
    resolve_device(detector.device)
