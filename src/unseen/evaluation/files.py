"""Strict JSON files that are either complete under their final name, or not there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unseen.errors import ReadError
from unseen.pipeline.staging import staged
from unseen.types import Json


def write_json(path: Path, content: Json | Mapping[str, Any]) -> None:
    """Write strict JSON atomically; NaN and ±inf become ``null``.

    Parameters
    ----------
    path : Path
        The final name.
    content : JSON value
        May hold numpy scalars, tuples and paths.
    """
    text = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False)
    with staged(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What the file is, for the message.

    Returns
    -------
    dict

    Raises
    ------
    ReadError
        If the file is missing, is not JSON, or holds something else than an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReadError(f"{path}: there is no such file; it should hold {what}.") from None
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: cannot be read as {what}: {error}") from error
    if not isinstance(content, dict):
        raise ReadError(f"{path}: should hold {what} as a JSON object, got {type(content).__name__}.")
    return content


def plain(value: Any) -> Json:
    """Return a value as plain JSON types.

    Parameters
    ----------
    value : object
        Nested mappings, sequences, numpy values, paths; anything else is named by its ``repr``.

    Returns
    -------
    JSON value
        NaN and ±inf as None.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else repr(value)
