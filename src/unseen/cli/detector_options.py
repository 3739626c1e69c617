"""Making a detector from what the command line says."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from unseen.errors import ParameterError

if TYPE_CHECKING:
    from unseen.detectors import BaseDetector
    from unseen.detectors.images import BaseImageDetector

VIEW_CHOICES = ("raw", "residual-centre", "scaled-centre", "residual-nearest", "auto")

_OWN_OPTIONS = {
    "view": "--view",
    "n_references": "--n-references",
    "false_alarm_rate": "--false-alarm-rate",
    "calibration_fraction": "--calibration-fraction",
    "seed": "--seed",
    "normal": "--normal",
}

_OWN_OPTIONS_OF_IMAGES = {
    "image_size": "--image-size",
    "false_alarm_rate": "--false-alarm-rate",
    "calibration_fraction": "--calibration-fraction",
    "seed": "--seed",
}


def build_detector(name: str, settings: Sequence[str] = (), **common: Any) -> BaseDetector:
    """Return an unfitted detector of tables.

    Parameters
    ----------
    name : str
        Name in the catalogue.
    settings : sequence of str
        ``key=value`` texts for the detector's own parameters; a value is a Python literal or plain text.
    **common : object
        Parameters that all detectors have.

    Returns
    -------
    BaseDetector

    Raises
    ------
    ParameterError
        If there is no such detector or parameter.
    """
    from unseen.detectors import DETECTORS

    _check_name("--detector", name, images=False)
    cls = DETECTORS[name]
    return cls(**_values(name, cls, settings, _OWN_OPTIONS), **common)


def build_image_detector(
    name: str | None, settings: Sequence[str] = (), *, own: dict[str, str] | None = None, **common: Any
) -> BaseImageDetector:
    """Return an unfitted detector of pictures.

    Parameters
    ----------
    name : str or None
        Name in the catalogue. None: the default one, with the settings that measured best.
    settings : sequence of str
        As for :func:`build_detector`; they take precedence over those settings.
    own : dict of str to str or None
        Parameters that have an option of their own in the command, and that option. None: those of ``fit``.
    **common : object
        Parameters that all detectors of pictures have.

    Returns
    -------
    BaseImageDetector

    Raises
    ------
    ParameterError
        If there is no such detector or parameter.
    """
    from unseen.detectors.catalogue import IMAGE_DETECTORS
    from unseen.pipeline.image_model import DEFAULT_IMAGE_DETECTOR, DEFAULT_IMAGE_SETTINGS

    chosen = DEFAULT_IMAGE_DETECTOR if name is None else name
    _check_name("--detector", chosen, images=True)
    cls = IMAGE_DETECTORS[chosen]
    values = _values(chosen, cls, settings, _OWN_OPTIONS_OF_IMAGES if own is None else own)
    best = DEFAULT_IMAGE_SETTINGS if chosen == DEFAULT_IMAGE_DETECTOR else {}
    return cls(**{**best, **common, **values})


def _values(name: str, cls: type[Any], settings: Sequence[str], own: dict[str, str]) -> dict[str, Any]:
    """Read ``key=value`` texts for a detector."""
    allowed = [item for item in inspect.signature(cls).parameters if item not in own]
    values: dict[str, Any] = {}
    for text in settings:
        key, found, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not found:
            raise ParameterError(f"--set {text}: write key=value, for instance --set {allowed[0]}=...")
        if key in own:
            raise ParameterError(f"--set {text}: give {own[key]} instead.")
        if key not in allowed:
            raise ParameterError(
                f"--set {text}: {name} has no parameter {key!r}{_did_you_mean(key, allowed)}."
            )
        values[key] = _literal(value.strip())
    return values


def check_detector_names(names: Sequence[str], *, images: bool = False) -> list[str]:
    """Return the names, or raise ParameterError if one is not in the catalogue or none is given."""
    from unseen.detectors.catalogue import DETECTORS, IMAGE_DETECTORS

    for name in names:
        _check_name("--detectors", name, images=images)
    if not names:
        known = IMAGE_DETECTORS if images else DETECTORS
        raise ParameterError(f"--detectors: name at least one of {', '.join(known)}.")
    return list(dict.fromkeys(names))


def _check_name(option: str, name: str, *, images: bool) -> None:
    from unseen.detectors.catalogue import DETECTORS, IMAGE_DETECTORS

    known, others = (IMAGE_DETECTORS, DETECTORS) if images else (DETECTORS, IMAGE_DETECTORS)
    if name in known:
        return
    if name in others:
        here, there = ("pictures", "tables") if images else ("tables", "pictures")
        raise ParameterError(
            f"{option}: {name} is a detector of {there}; for {here} there are {', '.join(known)}."
        )
    raise ParameterError(f"{option}: no detector is called {name!r}{_did_you_mean(name, list(known))}.")


def check_view(view: str, domain: str | None) -> str:
    """Return ``view``, or raise ParameterError if there is none of that name or it lacks domains."""
    if view not in VIEW_CHOICES:
        raise ParameterError(f"--view must be one of {', '.join(VIEW_CHOICES)}, got {view!r}.")
    if view != "raw" and domain is None:
        raise ParameterError(
            f"--view {view} sees rows from the references of their domain; name --domain-column."
        )
    return view


def _literal(text: str) -> Any:
    named = {"true": True, "false": False, "none": None}
    if text.lower() in named:
        return named[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _did_you_mean(name: str, choices: Sequence[str]) -> str:
    close = get_close_matches(name, choices, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "there are"
    listed = ", ".join(choices)
    return f"; {hint} ({listed})" if close else f"; {hint} {listed}"
