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
    for position, row in enumerate(listed):
        if position == 0 or row["input"] != listed[position - 1]["input"]:
            say(f"{'' if position == 0 else chr(10)}For {row['input']}:")
        default = " (default)" if row["default"] else ""
        say(f"{row['name']}{default}")
        say(f"    {row['description']}")
        say(f"    labelled anomalies: {'change the scores' if row['uses_labels'] else 'calibrate only'}")
        say(f"    references: {row['reference_use']}")
    say("Parameters of one: unseen detectors --json; set them with unseen fit --set key=value.")


def catalogue_rows() -> list[dict[str, Any]]:
    """Return one record a detector: input, name, description, uses of labels and references, parameters.

    Returns
    -------
    list of dict
    """
    from unseen.detectors.catalogue import DETECTORS, IMAGE_DETECTORS
    from unseen.pipeline import DEFAULT_DETECTOR, DEFAULT_IMAGE_DETECTOR

    return [
        {
            "input": kind,
            "name": name,
            "description": (inspect.getdoc(cls) or "").split("\n", 1)[0],
            "default": name in (DEFAULT_DETECTOR, DEFAULT_IMAGE_DETECTOR),
            "uses_labels": cls.uses_labels,
            "reference_use": cls.reference_use,
            "parameters": {item.name: item.default for item in inspect.signature(cls).parameters.values()},
        }
        for kind, catalogue in (("tables", DETECTORS), ("pictures", IMAGE_DETECTORS))
        for name, cls in catalogue.items()
    ]
