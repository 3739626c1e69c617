"""What ``fit``, ``adapt`` and ``score`` do where the input is pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unseen.cli.console import print_json, row_progress, say, waiting

if TYPE_CHECKING:
    from unseen.data.images import ImageSet
    from unseen.pipeline import ImageFitSummary, ImageModel, ImageScoreSummary


def fit_folder(
    folder: str,
    out: Path,
    *,
    layout: str | None,
    detector: str | None,
    settings: Sequence[str],
    references: int | None,
    suspects: Path | None = None,
    as_json: bool,
    **common: Any,
) -> None:
    """Fit a detector on a folder of pictures, save it and say what was learned.

    Parameters
    ----------
    folder : str
        Where the pictures are.
    out : Path
        Model directory to write.
    layout : str or None
        Layout of the folder; None: recognised.
    detector : str or None
        Name in the catalogue; None: the default.
    settings : sequence of str
        ``key=value`` texts.
    references : int or None
        Normals of each category to learn from; None: all that memory allows.
    suspects : Path or None
        Where the list of good pictures to look at first goes; a page with the pictures lies beside it.
    as_json : bool
        Whether stdout is for a program.
    **common : object
        Parameters of every detector of pictures.
    """
    from unseen.cli.detector_options import build_image_detector
    from unseen.persistence import save
    from unseen.pipeline import ImageModel
    from unseen.pipeline.image_folders import choose_references, read_for_learning, within_memory
    from unseen.pipeline.suspect_pictures import check_enough_pictures

    unfitted = build_image_detector(detector, settings, **common)
    images = read_for_learning(folder, layout or "auto")
    say(f"read {folder}: {len(images):,} pictures to learn from (layout {images.layout})", quiet=as_json)
    notes: list[str] = []
    if references is not None:
        images = choose_references(images, references)
    else:
        images, left_out = within_memory(images, unfitted)
        notes += [left_out] if left_out else []
    if suspects is not None:
        check_enough_pictures(images)
    with waiting("fitting"):
        model = ImageModel.fit(images, unfitted, notes=notes)
    page = None if suspects is None else note_suspect_pictures(model, images, suspects)
    save(model, out)
    if as_json:
        print_json({"model": str(out), **model.summary.to_json()})
        return
    for line in describe_fit(model.summary):
        say(line)
    if page is not None:
        say(f"wrote {suspects}: good pictures to look at first; {page} shows them")
    say(f"wrote {out}; next: unseen score {out} FOLDER --out scores --maps")


def note_suspect_pictures(model: ImageModel, images: ImageSet, file: Path) -> Path:
    """Add to a model's summary how many of its good pictures look odd, list them in a file and show them.

    Parameters
    ----------
    model : ImageModel
        Fitted; its summary is replaced.
    images : ImageSet
        The pictures of the fit.
    file : Path
        Where the list goes; the page has its name with the ending ``.html``.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    LabelError
        With too few good pictures.
    """
    from dataclasses import replace

    from unseen.pipeline.suspect_pictures import find_suspect_pictures
    from unseen.reports.suspects import write_suspect_page

    with waiting("looking for odd pictures"):
        found = find_suspect_pictures(images, model.detector)
    found.write(file)
    model.summary = replace(model.summary, suspects=found.to_json())
    return write_suspect_page(found, file.with_suffix(".html"))


def describe_fit(summary: ImageFitSummary) -> list[str]:
    """Return what a fit on pictures was made from and what it promises, as lines of prose.

    Parameters
    ----------
    summary : ImageFitSummary
        Of the fitted model.

    Returns
    -------
    list of str
    """
    from unseen.pipeline.suspect_pictures import suspect_pictures_sentence

    height, width = summary.image_size
    listed = ", ".join(f"{name} {count:,}" for name, count in summary.categories.items())
    kinds = ", ".join(f"{name} {count:,}" for name, count in summary.kinds.items())
    lines = [
        f"fitted {summary.detector} in {summary.seconds:.1f} s at {height} x {width} pixels",
        f"good pictures: {listed}" + (f"; labelled defects: {kinds}" if kinds else ""),
    ]
    several = len(summary.calibration) > 1
    for name, found in summary.calibration.items():
        of = f"{name or 'all together'}: " if several else ""
        lines.append(
            f"{of}threshold {found['threshold']:.6g}: at most "
            f"{found['guaranteed_false_alarm_rate']:.3g} of fresh normals are flagged; p-values compare with "
            f"{found['n']:.0f} good pictures scored by the others; the smallest is {found['smallest_p']:.2g}"
        )
    if not summary.calibration:
        lines.append("no threshold and no p-values: these need at least two good pictures")
    if summary.suspects is not None:
        lines.append(suspect_pictures_sentence(summary.suspects))
    return [*lines, *(f"note: {note}" for note in summary.notes)]


def adapt_to_folder(model: ImageModel, folder: str, layout: str | None, *, quiet: bool) -> ImageModel:
    """Return a model with references of new products, and say what they do.

    Parameters
    ----------
    model : ImageModel
        The model.
    folder : str
        Good pictures; of a data set, those of its training part.
    layout : str or None
        Layout of the folder; None: recognised.
    quiet : bool
        Whether stdout is for a program.

    Returns
    -------
    ImageModel
    """
    from unseen.pipeline.image_folders import read_for_learning

    images = read_for_learning(folder, layout or "auto")
    if images.layout not in ("flat", "nested", "folders"):
        images = images.take(images.labels.normal)
    adapted = model.adapt(images)
    categories = sorted(set(images.labels.domains.tolist()))
    of = f"{len(categories)} categories" if len(categories) > 1 else categories[0]
    say(
        f"{len(images):,} references for {of}; {model.summary.detector}: {model.summary.reference_use}",
        quiet=quiet,
    )
    for name in dict.fromkeys(adapted.domains_of(images).tolist()):
        found = adapted.calibration_of(name)
        said = f"{name}: " if len(categories) > 1 else ""
        said += (
            "no threshold and no p-values: these need at least two references"
            if found is None
            else f"threshold {found.threshold:.6g}; smallest p-value {found.smallest_p:.2g}"
        )
        say(said, quiet=quiet)
    return adapted


def score_folder(
    model: ImageModel,
    folder: str,
    out: Path,
    *,
    layout: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Score the pictures of a folder and say what came out.

    Parameters
    ----------
    model : ImageModel
        The model.
    folder : str
        What to score; of a data set with splits, its test part.
    out : Path
        File or folder to write.
    layout : str or None
        Layout of the folder; None: recognised.
    as_json : bool
        Whether to print one JSON document.
    **options : object
        See :func:`unseen.pipeline.score_images`.
    """
    from unseen.data.images import read_images
    from unseen.data.images.items import TEST
    from unseen.pipeline import score_images

    images = read_images(folder, layout or "auto")
    if (images.splits == TEST).any():
        images = images.split(TEST)
        say(f"{folder}: the {len(images):,} pictures of its test part", quiet=as_json)
    for note in images.notes[1:]:
        say(f"note: {note}", quiet=as_json)
    with row_progress("scoring", len(images), "pictures") as advance:
        summary = score_images(model, images, folder, out, progress=advance, **options)
    if as_json:
        print_json(summary.to_json())
        return
    for line in describe_scores(summary):
        say(line)


def describe_scores(summary: ImageScoreSummary) -> list[str]:
    """Return what came out of scoring pictures, as lines of prose.

    Parameters
    ----------
    summary : ImageScoreSummary
        Of the run.

    Returns
    -------
    list of str
    """
    share = summary.n_flagged / max(1, summary.n_images)
    lines = [
        f"scored {summary.n_images:,} pictures in {summary.seconds:.1f} s, "
        f"{summary.images_per_second:.1f} a second",
        f"flagged {summary.n_flagged:,} ({share:.1%}); rule: {summary.rule}",
    ]
    if summary.smallest_p is not None:
        lines.append(f"smallest p-value that a picture can get: {summary.smallest_p:.2g}")
    if summary.n_not_calibrated:
        lines.append(
            f"note: {summary.n_not_calibrated:,} pictures have no p-value and are not flagged: there is a "
            "single reference"
        )
    if summary.n_without_references:
        lines.append(
            f"note: {summary.n_without_references:,} pictures are of categories without references; they are "
            "compared with the good pictures of all categories"
        )
    if summary.n_unreadable:
        lines.append(f"note: {summary.n_unreadable:,} pictures could not be read (column error):")
        lines += [f"  {message}" for message in summary.unreadable]
    lines.append(f"wrote {summary.out}")
    if summary.maps is not None:
        lines.append(f"wrote heat maps to {summary.maps} and overlays to {summary.overlays}")
    return lines
