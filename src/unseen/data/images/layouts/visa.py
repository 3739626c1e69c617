"""VisA: a table says which picture is what.

::

    split_csv/1cls.csv                 object,split,label,image,mask
    <category>/Data/Images/Normal/0000.JPG
    <category>/Data/Images/Anomaly/000.JPG
    <category>/Data/Masks/Anomaly/000.png
    <category>/image_anno.csv          image,label,mask        (names the defects)

Y. Zou, J. Jeong, L. Pemula, D. Zhang, O. Dabeer, "SPot-the-Difference", ECCV 2022. Where ``image_anno.csv``
lies beside the pictures, a defect's kind is its label there, ``combined`` if it names several; else
``anomaly``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from unseen.data.images.items import TEST, TRAIN, ImageItem
from unseen.errors import ReadError
from unseen.types import NORMAL_KIND

_TABLE = "1cls.csv"
_COLUMNS = ("object", "split", "label", "image", "mask")
_SPLITS = {"train": TRAIN, "test": TEST}
_UNNAMED, _SEVERAL = "anomaly", "combined"


def recognise(root: Path) -> bool:
    """Return whether ``root`` is VisA's folder or one of its split tables."""
    return _table_of(root) is not None


def read(root: Path) -> Iterator[ImageItem]:
    """Yield the pictures that the table lists, in its order.

    Parameters
    ----------
    root : Path
        VisA's folder (``split_csv/1cls.csv`` is read), or the split table to read.

    Yields
    ------
    ImageItem

    Raises
    ------
    ReadError
        If the table is missing, lacks a column, or names a file that is not there.
    """
    table = _table_of(root)
    if table is None:
        raise ReadError(f"{root} has no split_csv/{_TABLE}; name VisA's folder or the split table to read.")
    base = table.parent.parent
    rows = _rows(table, _COLUMNS)
    defects: dict[str, str] = {}
    for category in dict.fromkeys(row["object"] for _, row in rows):
        defects |= _defect_names(base / category / "image_anno.csv")
    for line, row in rows:
        if row["split"] not in _SPLITS:
            raise ReadError(f"{table}, line {line}: split must be train or test, got {row['split']!r}.")
        normal = row["label"].lower() == NORMAL_KIND
        kind = NORMAL_KIND if normal else defects.get(row["image"], _UNNAMED)
        masks = (_existing(base, row["mask"], table, line),) if row["mask"] and not normal else ()
        path = _existing(base, row["image"], table, line)
        yield ImageItem(path, kind, row["object"], _SPLITS[row["split"]], masks)


def _table_of(root: Path) -> Path | None:
    if root.is_file():
        return root if root.suffix.lower() == ".csv" else None
    tables = root / "split_csv"
    if (tables / _TABLE).is_file():
        return tables / _TABLE
    return next(iter(sorted(tables.glob("*.csv"))), None)


def _rows(table: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with their line numbers, cells stripped."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise ReadError(f"{table} lacks the column {missing[0]!r}; expected {','.join(columns)}.")
            return [
                (reader.line_num, {name: (row[name] or "").strip() for name in columns}) for row in reader
            ]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise ReadError(f"{table} cannot be read as a CSV file ({error}).") from error


def _defect_names(table: Path) -> dict[str, str]:
    """Kind by picture, from a category's annotations; empty if it has none."""
    if not table.is_file():
        return {}
    names = {}
    for _, row in _rows(table, ("image", "label")):
        labels = [label.strip() for label in row["label"].split(",") if label.strip()]
        if labels and labels != [NORMAL_KIND]:
            names[row["image"]] = labels[0] if len(labels) == 1 else _SEVERAL
    return names


def _existing(base: Path, name: str, table: Path, line: int) -> Path:
    path = (base / name).resolve()
    if base.resolve() not in path.parents:
        raise ReadError(f"{table}, line {line}: {name!r} lies outside {base}.")
    if not path.is_file():
        raise ReadError(f"{table}, line {line}: {base / name} does not exist.")
    return base / name
