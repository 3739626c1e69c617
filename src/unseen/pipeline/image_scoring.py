"""Scoring folders of pictures of any size: a table of scores, heat maps and overlays, in bounded memory.

Pictures are decoded, scored and drawn a block at a time. The table appears under its final name when every
picture is in it; heat maps of a run that was killed are overwritten by the next one.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from unseen.checks import check_real
from unseen.data.images import ImageSet
from unseen.errors import InputError, ParameterError, ReadError
from unseen.pipeline.heat_maps import fitted_size, heat_map, overlay, resize_levels
from unseen.pipeline.image_model import ImageModel, ScoredPictures
from unseen.pipeline.score_writer import check_output_name
from unseen.pipeline.staging import staged
from unseen.pixels import Pixels, resize_image
from unseen.scoring import benjamini_hochberg
from unseen.scoring.thresholds import false_alarm_threshold
from unseen.types import UNNAMED_DOMAIN

BLOCK = 64
"""Pictures in memory together."""

LONGEST_SIDE = 512
"""Longest side of heat maps and overlays, in pixels."""

_SCHEMA: dict[str, Any] = {
    "path": pl.String, "domain": pl.String, "kind": pl.String, "score": pl.Float64, "p_value": pl.Float64,
    "smallest_p": pl.Float64, "flagged": pl.Boolean, "error": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class ImageScoreSummary:
    """What came out of scoring a folder of pictures.

    Attributes
    ----------
    out : str
        The table written.
    maps, overlays : str or None
        Folders of the heat maps and of the heat maps over their pictures, if they were asked for.
    n_images, n_flagged, n_unreadable : int
        Pictures scored, pictures flagged, and pictures that could not be read and were skipped.
    n_without_references : int
        Pictures of categories that have no references of their own.
    n_not_calibrated : int
        Pictures without p-value and threshold, since their category has a single reference.
    unreadable : list of str
        The first few errors of skipped pictures.
    rule : str
        How pictures were flagged, in words.
    smallest_p : float or None
        Smallest p-value that any picture could get; None if nothing is calibrated.
    seconds, images_per_second : float
        Time and speed, reading and writing included.
    """

    out: str
    maps: str | None
    overlays: str | None
    n_images: int
    n_flagged: int
    n_unreadable: int
    n_without_references: int
    n_not_calibrated: int
    unreadable: list[str]
    rule: str
    smallest_p: float | None
    seconds: float
    images_per_second: float

    def to_json(self) -> dict[str, Any]:
        """Return the summary as values that JSON can hold."""
        return asdict(self)


def score_images(
    model: ImageModel,
    images: ImageSet,
    root: str | Path,
    out: str | Path,
    *,
    maps: bool = False,
    skip_unreadable: bool = False,
    false_alarm_rate: float | None = None,
    false_discovery_rate: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImageScoreSummary:
    """Score pictures and write a row each: path, domain, kind, score, p_value, smallest_p, flagged, error.

    Parameters
    ----------
    model : ImageModel
        A fitted model.
    images : ImageSet
        The pictures.
    root : str or Path
        The folder that they were found in; paths are written as seen from there.
    out : str or Path
        A ``.parquet`` or ``.csv`` file, or a folder for ``scores.parquet``. Heat maps go to ``maps`` and
        ``overlays`` in that folder, or to ``NAME_maps`` and ``NAME_overlays`` beside that file.
    maps : bool
        Whether to write heat maps (PNG) and overlays (JPEG), all on the model's one scale.
    skip_unreadable : bool
        Whether pictures that cannot be read become rows with an ``error`` and no score. Else the first of
        them ends the run, and no table is written.
    false_alarm_rate : float in (0, 1) or None
        Flag at this share of normals instead of the model's own.
    false_discovery_rate : float in (0, 1) or None
        Flag by Benjamini and Hochberg over all pictures instead.
    progress : callable or None
        Called with the number of pictures scored since the last call.

    Returns
    -------
    ImageScoreSummary

    Raises
    ------
    ReadError
        If a picture cannot be read and is not to be skipped; it is named.
    InputError
        If there is nothing to score, or no picture can be read.
    """
    started = time.perf_counter()
    _check_rates(false_alarm_rate, false_discovery_rate)
    table, map_folder, overlay_folder = output_places(Path(out), maps=maps)
    _refuse_among_pictures(images, table)
    rows: list[dict[str, Any]] = []
    for part, scored, faults in _blocks(model, images, skip_unreadable):
        names = [_name(part.path(i), Path(root)) for i in range(len(part))]
        rows += _rows(model, part, scored, names, false_alarm_rate)
        rows += [_fault_row(item, Path(root)) for item in faults]
        if map_folder is not None and overlay_folder is not None:
            _write_maps(model, part, scored, names, map_folder, overlay_folder)
        if progress is not None:
            progress(len(part) + len(faults))
    frame = pl.DataFrame(rows, schema=_SCHEMA, infer_schema_length=None)
    if frame["score"].null_count() == len(frame):
        raise InputError(f"{root}: none of {len(frame)} pictures can be read; the first: {rows[0]['error']}")
    if false_discovery_rate is not None:
        frame = _flag_by_discovery(frame, false_discovery_rate)
    _write_table(frame if skip_unreadable else frame.drop("error"), table)
    return _summarise(
        model, images, frame, (table, map_folder, overlay_folder), started,
        _rule(model, frame, false_alarm_rate, false_discovery_rate),
    )  # fmt: skip


def output_places(out: Path, *, maps: bool) -> tuple[Path, Path | None, Path | None]:
    """Return where the table, the heat maps and the overlays go.

    Parameters
    ----------
    out : Path
        A file, or a folder if its name has no ending.
    maps : bool
        Whether maps are wanted.

    Returns
    -------
    tuple of (Path, Path or None, Path or None)
        The last two are None without maps.

    Raises
    ------
    ParameterError
        If the file's ending is none of ours.
    """
    if out.suffix == "" or out.is_dir():
        table, folders = out / "scores.parquet", (out / "maps", out / "overlays")
    else:
        check_output_name(out)
        table = out
        folders = (out.with_name(f"{out.stem}_maps"), out.with_name(f"{out.stem}_overlays"))
    return (table, *folders) if maps else (table, None, None)


def _refuse_among_pictures(images: ImageSet, table: Path) -> None:
    """A table among pictures would make their folder one that holds both, which is not read again."""
    folder = table.parent.resolve()
    if any(images.path(i).parent.resolve() == folder for i in range(len(images))):
        raise ParameterError(f"--out: {table} would lie among the pictures; give a folder of its own.")


def _blocks(
    model: ImageModel, images: ImageSet, skip_unreadable: bool
) -> Iterator[tuple[ImageSet, ScoredPictures, list[tuple[Any, str]]]]:
    """Yield scored blocks and, with them, what could not be read."""
    for start in range(0, len(images), BLOCK):
        part = images[start : start + BLOCK]
        try:
            yield part, model.score(part), []
            continue
        except ReadError:
            if not skip_unreadable:
                raise
        good, faults = _readable(part)
        some = part.take(np.array(good, dtype=np.int64))
        yield some, model.score(some) if good else _nothing(), faults


def _readable(part: ImageSet) -> tuple[list[int], list[tuple[Any, str]]]:
    good: list[int] = []
    faults = []
    for place, item in enumerate(part.items):
        try:
            part[place]
            good.append(place)
        except ReadError as error:
            faults.append((item, str(error)))
    return good, faults


def _nothing() -> ScoredPictures:
    none = np.zeros(0)
    return ScoredPictures(none, none, none, none, np.zeros((0, 1, 1), dtype=np.float32))


def _rows(
    model: ImageModel, part: ImageSet, scored: ScoredPictures, names: list[str], rate: float | None
) -> list[dict[str, Any]]:
    thresholds = scored.threshold
    if rate is not None:
        thresholds = _thresholds_at(model, part, rate)
    return [
        {
            "path": name,
            "domain": item.domain or None,
            "kind": item.kind or None,
            "score": float(scored.score[i]),
            "p_value": _known(scored.p_value[i]),
            "smallest_p": _known(scored.smallest_p[i]),
            "flagged": None if np.isnan(thresholds[i]) else bool(scored.score[i] > thresholds[i]),
            "error": None,
        }
        for i, (name, item) in enumerate(zip(names, part.items, strict=True))
    ]


def _thresholds_at(model: ImageModel, part: ImageSet, rate: float) -> Any:
    found = {}
    domains = model.domains_of(part).tolist()
    for name in set(domains):
        calibration = model.calibration_of(name)
        scores = None if calibration is None else calibration.normal_scores
        found[name] = np.nan if scores is None else false_alarm_threshold(scores, rate)[0]
    return np.array([found[name] for name in domains])


def _fault_row(fault: tuple[Any, str], root: Path) -> dict[str, Any]:
    item, message = fault
    known = {"path": _name(item.path, root), "domain": item.domain or None, "kind": item.kind or None}
    return {**dict.fromkeys(_SCHEMA), **known, "error": message}


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _name(path: Path, root: Path) -> str:
    """A picture's path as seen from the folder, with slashes; its name if it is the input itself."""
    return path.relative_to(root).as_posix() if path != root and path.is_relative_to(root) else path.name


def _write_maps(
    model: ImageModel, part: ImageSet, scored: ScoredPictures, names: list[str], maps: Path, overlays: Path
) -> None:
    for place, name in enumerate(names):
        image = part[place]
        size = fitted_size(image.shape[0], image.shape[1], LONGEST_SIDE)
        levels = resize_levels(model.scale.levels(scored.maps[place]), size)
        _write_picture(heat_map(levels), maps / PurePosixPath(f"{name}.png"), "PNG")
        _write_picture(overlay(resize_image(image, size), levels), overlays / f"{name}.jpg", "JPEG")


def _write_picture(pixels: Pixels, path: Path, form: str) -> None:
    """Write a picture so that no half of one is ever found under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, form, **({"quality": 88} if form == "JPEG" else {}))
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content.getvalue())
    partial.replace(path)


def _flag_by_discovery(frame: pl.DataFrame, rate: float) -> pl.DataFrame:
    known = frame["p_value"].is_not_null().to_numpy()
    flagged: list[bool | None] = [None] * len(frame)
    chosen = benjamini_hochberg(frame["p_value"].drop_nulls().to_numpy(), rate)
    for place, value in zip(np.flatnonzero(known).tolist(), chosen.tolist(), strict=True):
        flagged[place] = value
    return frame.with_columns(pl.Series("flagged", flagged, dtype=pl.Boolean))


def _write_table(frame: pl.DataFrame, table: Path) -> None:
    with staged(table) as temporary:
        if table.suffix.lower() == ".csv":
            frame.write_csv(temporary)
        else:
            frame.write_parquet(temporary, compression="zstd")


def _summarise(
    model: ImageModel,
    images: ImageSet,
    frame: pl.DataFrame,
    places: tuple[Path, Path | None, Path | None],
    started: float,
    rule: str,
) -> ImageScoreSummary:
    seconds = time.perf_counter() - started
    faults = frame["error"].drop_nulls().to_list()
    smallest = frame["smallest_p"].min()
    has_references = bool(model.detector.domain_memories_)
    without = int(np.sum(model.domains_of(images) == UNNAMED_DOMAIN)) if has_references else 0
    covered = UNNAMED_DOMAIN in model.detector.domain_memories_
    return ImageScoreSummary(
        out=str(places[0]),
        maps=None if places[1] is None else str(places[1]),
        overlays=None if places[2] is None else str(places[2]),
        n_images=len(frame) - len(faults),
        n_flagged=int(frame["flagged"].sum()),
        n_unreadable=len(faults),
        n_without_references=0 if covered else without,
        n_not_calibrated=frame["p_value"].null_count() - len(faults),
        unreadable=faults[:5],
        rule=rule,
        smallest_p=float(smallest) if isinstance(smallest, float) else None,
        seconds=seconds,
        images_per_second=len(frame) / seconds,
    )


def _rule(model: ImageModel, frame: pl.DataFrame, rate: float | None, discovery: float | None) -> str:
    if discovery is not None:
        return f"at most {discovery:g} of the flagged pictures normal (Benjamini-Hochberg)"
    if frame["p_value"].null_count() == len(frame):
        return "none: a threshold needs at least two references"
    asked = float(model.detector.false_alarm_rate) if rate is None else rate
    largest = frame["smallest_p"].max()
    if isinstance(largest, float) and largest > asked:
        return (
            f"above every reference scored by the others: at most {largest:.3g} of the normals (there are "
            f"too few references for {asked:g})"
        )
    return f"at most {asked:g} of the normals"


def _check_rates(false_alarm_rate: float | None, false_discovery_rate: float | None) -> None:
    if false_alarm_rate is not None and false_discovery_rate is not None:
        raise ParameterError("score: give a false-alarm rate or a false discovery rate, not both.")
    for name, rate in (
        ("false_alarm_rate", false_alarm_rate),
        ("false_discovery_rate", false_discovery_rate),
    ):
        if rate is not None:
            check_real("score", name, rate, minimum=0, maximum=1, open_minimum=True, open_maximum=True)
