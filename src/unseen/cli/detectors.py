"""``unseen detectors``: what there is to choose from."""

from __future__ import annotations

import inspect
from typing import Any

from unseen.cli import options
from unseen.cli.console import print_json, say


def detectors(as_json: options.AsJson = False) -> None:
    """List the detectors: what each does, whether it learns from labels, how it uses references."""
    listed = catalogue_rows()
    if as_json:
        print_json(listed)
        return
    for row in listed:
        default = " (default)" if row["default"] else ""
        say(f"{row['name']}{default}")
        say(f"    {row['description']}")
        say(f"    labelled anomalies: {'change the scores' if row['uses_labels'] else 'calibrate only'}")
        say(f"    references: {row['reference_use']}")
    say("Parameters of one: unseen detectors --json; set them with unseen fit --set key=value.")


def catalogue_rows() -> list[dict[str, Any]]:
    """Return one record a detector: name, description, uses of labels and references, parameters.

    Returns
    -------
    list of dict
    """
    from unseen.detectors import DETECTORS
    from unseen.pipeline import DEFAULT_DETECTOR

    return [
        {
            "name": name,
            "description": (inspect.getdoc(cls) or "").split("\n", 1)[0],
            "default": name == DEFAULT_DETECTOR,
            "uses_labels": cls.uses_labels,
            "reference_use": cls.reference_use,
            "parameters": {item.name: item.default for item in inspect.signature(cls).parameters.values()},
        }
        for name, cls in DETECTORS.items()
    ]
