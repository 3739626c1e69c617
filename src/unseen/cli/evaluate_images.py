"""What ``evaluate`` does where the input is folders of pictures."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from unseen.cli import options
from unseen.cli.console import say

if TYPE_CHECKING:
    from unseen.data.images import ImageSet
    from unseen.detectors.images import BaseImageDetector
    from unseen.evaluation import ImageProtocol, Results

_OF_TABLES = (
    "test", "dataset", "root", "max_rows_per_file", "fine_kinds", "kind_column", "normal", "label_column",
    "domain_column", "group_column", "ignore", "categorical", "encoding", "contaminants",
    "natural", "view", "n_references", "held_out", "new_domains", "jobs",
)  # fmt: skip
_OWN_OPTIONS = {"image_size": "--image-size", "textures": "--textures", "cache_dir": "--cache",
                "false_alarm_rate": "--false-alarm-rate", "seed": "--seeds"}  # fmt: skip


def evaluate_folders(context: typer.Context, folders: Sequence[str], out: Path) -> Results:
    """Evaluate detectors on folders of pictures with the options of the command.

    Parameters
    ----------
    context : typer.Context
        Of the command; its parameters are the options.
    folders : sequence of str
        Data sets or categories to judge on.
    out : Path
        Folder for the results.

    Returns
    -------
    Results
    """
    from unseen.cli.trial_progress import trial_progress
    from unseen.data.images import read_images
    from unseen.evaluation import Settings, evaluate_images

    given = context.params
    _check_all_are_pictures([*folders, *(given["source"] or ())])
    options.refuse_given(context, _OF_TABLES, f"{folders[0]} holds pictures")
    detectors = make_image_detectors(
        given["detectors"],
        given["settings"] or (),
        image_size=given["image_size"],
        textures=given["textures"],
    )
    protocol = _protocol(context)
    layout = given["layout"] or "auto"
    targets = [read_images(folder, layout) for folder in folders]
    sources = [read_images(folder, layout) for folder in given["source"] or ()]
    for folder, images in zip([*folders, *(given["source"] or ())], [*targets, *sources], strict=True):
        say(f"read {folder}: {_counted(images)}, layout {images.layout}", quiet=given["as_json"])
    with trial_progress() as progress:
        return evaluate_images(
            targets,
            detectors=detectors,
            out=out,
            sources=sources,
            protocol=protocol,
            settings=Settings(false_alarm_rate=given["false_alarm_rate"]),
            cache_dir=given["cache"],
            resume=not given["fresh"],
            progress=progress,
            dataset={"name": ", ".join(Path(folder).name for folder in folders), "files": list(folders)},
        )


def _check_all_are_pictures(folders: Sequence[str]) -> None:
    from unseen.errors import ParameterError
    from unseen.pipeline import holds_pictures

    odd = [folder for folder in folders if Path(folder).exists() and not holds_pictures(folder)]
    if odd:
        raise ParameterError(
            f"{odd[0]} is no folder of pictures, but others are; evaluate tables and pictures on their own."
        )


def make_image_detectors(
    names: str, settings: Sequence[str], *, image_size: int, textures: Path | None
) -> dict[str, BaseImageDetector]:
    """Return the unfitted detectors of pictures that the options name.

    Parameters
    ----------
    names : str
        Comma-separated, or ``"all"``.
    settings : sequence of str
        ``detector.key=value`` texts.
    image_size : int
        Side that pictures are brought to.
    textures : Path or None
        Folder of textures, for detectors that make synthetic defects.

    Returns
    -------
    dict of str to BaseImageDetector

    Raises
    ------
    ParameterError
        If a detector or parameter is not known, or no detector takes textures.
    """
    from unseen.cli.detector_options import build_image_detector, check_detector_names
    from unseen.cli.evaluation_plan import settings_of
    from unseen.detectors.catalogue import IMAGE_DETECTORS
    from unseen.errors import ParameterError

    every = names.strip() == "all"
    chosen = list(IMAGE_DETECTORS) if every else check_detector_names(options.names(names), images=True)
    own = settings_of(chosen, settings)
    takes = [name for name in chosen if "textures" in inspect.signature(IMAGE_DETECTORS[name]).parameters]
    if textures is not None and not takes:
        raise ParameterError(f"--textures: none of {', '.join(chosen)} makes synthetic defects.")
    made = {}
    for name, texts in own.items():
        further: dict[str, Any] = {"textures": str(textures)} if textures and name in takes else {}
        made[name] = build_image_detector(name, texts, own=_OWN_OPTIONS, image_size=image_size, **further)
    return made


def _protocol(context: typer.Context) -> ImageProtocol:
    from unseen.errors import ParameterError
    from unseen.evaluation import ImageProtocol

    given = context.params
    references: tuple[int | None, ...] = (None,)
    if options.given(context, "references"):
        counts = options.whole_numbers("--references", given["references"])
        if 0 in counts:
            raise ParameterError("--references must be >= 1 for pictures; leave it out for all good ones.")
        references = tuple(counts)
    shots: tuple[int, ...] = (0,)
    if options.given(context, "shots"):
        shots = tuple(options.whole_numbers("--shots", given["shots"]))
    most = given["max_normals"]
    return ImageProtocol(
        references=references,
        seeds=given["seeds"],
        shots=shots,
        contamination=tuple(options.shares("--contamination", given["contamination"])),
        **({"source_pictures": most} if most is not None else {}),
    )


def _counted(images: ImageSet) -> str:
    normal, anomalous = int(images.labels.normal.sum()), int(images.labels.anomaly.sum())
    unlabelled = len(images) - normal - anomalous
    text = f"{normal:,} good pictures, {anomalous:,} with defects"
    return text + (f", {unlabelled:,} not labelled" if unlabelled else "")
