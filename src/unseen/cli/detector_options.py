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

VIEW_CHOICES = ("raw", "residual-centre", "scaled-centre", "residual-nearest", "auto")

_OWN_OPTIONS = {
    "view": "--view",
    "n_references": "--n-references",
    "false_alarm_rate": "--false-alarm-rate",
    "calibration_fraction": "--calibration-fraction",
    "seed": "--seed",
    "normal": "--normal",
}


def build_detector(name: str, settings: Sequence[str] = (), **common: Any) -> BaseDetector:
    """Return an unfitted detector.

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

    if name not in DETECTORS:
        raise ParameterError(
            f"--detector: no detector is called {name!r}{_did_you_mean(name, list(DETECTORS))}."
        )
    cls = DETECTORS[name]
    allowed = [item for item in inspect.signature(cls).parameters if item not in _OWN_OPTIONS]
    values: dict[str, Any] = {}
    for text in settings:
        key, found, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not found:
            raise ParameterError(f"--set {text}: write key=value, for instance --set {allowed[0]}=...")
        if key in _OWN_OPTIONS:
            raise ParameterError(f"--set {text}: give {_OWN_OPTIONS[key]} instead.")
        if key not in allowed:
            raise ParameterError(
                f"--set {text}: {name} has no parameter {key!r}{_did_you_mean(key, allowed)}."
            )
        values[key] = _literal(value.strip())
    return cls(**values, **common)


def check_detector_names(names: Sequence[str]) -> list[str]:
    """Return the names, or raise ParameterError if one is not in the catalogue or none is given."""
    from unseen.detectors import DETECTORS

    for name in names:
        if name not in DETECTORS:
            raise ParameterError(
                f"--detectors: no detector is called {name!r}{_did_you_mean(name, list(DETECTORS))}."
            )
    if not names:
        raise ParameterError(f"--detectors: name at least one of {', '.join(DETECTORS)}.")
    return list(dict.fromkeys(names))


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
