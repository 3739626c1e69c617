"""Find a data set's files below the folder that the caller names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from unseen.data.datasets.description import DatasetDescription
from unseen.errors import ReadError


class DatasetFolder:
    """The files below a folder, looked up by name or pattern at any depth, whatever the case.

    Parameters
    ----------
    root : Path
        The folder.
    description : DatasetDescription
        The data set that is expected there, for the messages.

    Raises
    ------
    ReadError
        If ``root`` is not a folder.
    """

    def __init__(self, root: Path, description: DatasetDescription) -> None:
        if not root.is_dir():
            raise ReadError(f"{description.title}: {root} is not a folder; {_how_to_get(description)}")
        self._root = root
        self._description = description
        hidden = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
        self._files = sorted(hidden, key=lambda path: natural_order(str(path)))

    def matching(self, *patterns: str) -> list[Path]:
        """Return the files whose name fits one of the shell patterns, in natural order of their paths."""
        lowered = [pattern.lower() for pattern in patterns]
        return [
            path for path in self._files if any(fnmatch(path.name.lower(), pattern) for pattern in lowered)
        ]

    def find(self, *names: str) -> Path | None:
        """Return the one file with the first of these names that exists, or None.

        Raises
        ------
        ReadError
            If a name occurs in several folders, since it is then not clear which copy is meant.
        """
        for name in names:
            found = [path for path in self._files if path.name.lower() == name.lower()]
            if len(found) > 1:
                raise ReadError(
                    f"{self._description.title}: {name} occurs {len(found)} times below {self._root} "
                    f"({', '.join(str(path.relative_to(self._root)) for path in found)}); "
                    "name the folder that holds the copy to read."
                )
            if found:
                return found[0]
        return None

    def require(self, *names: str) -> Path:
        """Return the one file with the first of these names that exists.

        Raises
        ------
        ReadError
            If there is none: which file, where to put it and where to get it; or if there are several.
        """
        found = self.find(*names)
        if found is None:
            raise self.missing(names)
        return found

    def missing(self, names: Sequence[str]) -> ReadError:
        """Return the error to raise when none of these files is there."""
        wanted = " or ".join(names)
        return ReadError(
            f"{self._description.title}: {wanted} is missing; put it into {self._root} "
            f"(or a folder below it); {_how_to_get(self._description)}"
        )


def natural_order(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key: ``capture.csv``, then ``capture2.csv``, then ``capture10.csv``."""
    parts = re.findall(r"\d+|[^\W\d_]+|[\W_]", text.lower())
    return tuple(
        (1, int(part), "") if part.isdecimal() else (2 if part.isalpha() else 0, 0, part) for part in parts
    )


def _how_to_get(description: DatasetDescription) -> str:
    return f"get it from {description.source}."
