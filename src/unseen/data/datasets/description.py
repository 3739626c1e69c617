"""What a reader of a published data set says about it, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from unseen.checks import check_int
from unseen.data.tables import Table


@dataclass(frozen=True)
class DatasetDescription:
    """A published data set: whose it is, under which terms, and which files a reader expects.

    Attributes
    ----------
    name : str
        Name in the catalogue, in kebab case.
    title : str
        Name as the publisher writes it.
    citation : str
        What to cite when the data are used.
    terms : str
        Terms of use, as the publisher states them, in one sentence.
    source : str
        Where to get it: the publisher's page, in words.
    files : tuple of str
        File names or patterns that are expected below the data set's folder.
    kinds : tuple of str
        Kinds of anomaly, as grouped by default.
    domains : str
        What a domain is in this data set; the empty string if it names none.
    """

    name: str
    title: str
    citation: str
    terms: str
    source: str
    files: tuple[str, ...]
    kinds: tuple[str, ...]
    domains: str = ""


@dataclass(frozen=True)
class DatasetInfo:
    """What was read.

    Attributes
    ----------
    description : DatasetDescription
        The data set.
    files : tuple of Path
        The files that were read, in order.
    rows_in_files : int
        Rows that those files hold; more than the tables have if rows were sampled or left out.
    notes : tuple of str
        What was sampled, left out or merged on the way, in sentences.
    """

    description: DatasetDescription
    files: tuple[Path, ...]
    rows_in_files: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetTables:
    """A data set as tables.

    Attributes
    ----------
    train : Table
        Rows to fit on and, where there is no official test part, to split by a protocol.
    test : Table or None
        The publisher's (or the usual) test part, with the schema of ``train``; None where there is none.
    info : DatasetInfo
        What was read.
    """

    train: Table
    test: Table | None
    info: DatasetInfo


class ReadFunction(Protocol):
    """The signature that every data set's ``read`` has."""

    def __call__(
        self,
        root: Path,
        *,
        max_rows_per_file: int | None = None,
        seed: int = 0,
        fine_kinds: bool = False,
    ) -> DatasetTables:
        """Read the data set below ``root``.

        Parameters
        ----------
        root : Path
            Folder that holds the published files, at any depth.
        max_rows_per_file : int or None
            Keep at most so many rows of each file, drawn by ``seed``; kinds share them equally, and what a
            rare kind leaves over goes to the others. None keeps every row.
        seed : int
            Seed of the draw, >= 0.
        fine_kinds : bool
            Name the single attacks (or beat types) instead of the groups that the papers use.

        Returns
        -------
        DatasetTables

        Raises
        ------
        ReadError
            If a file is missing or is not what was published.
        MissingExtraError
            If an optional package is needed and not installed.
        """
        ...


@dataclass(frozen=True)
class DatasetReader:
    """A data set in the catalogue: its description and the function that reads it.

    Attributes
    ----------
    description : DatasetDescription
        What the data set is.
    read_files : callable
        The module's ``read`` function.
    """

    description: DatasetDescription
    read_files: ReadFunction

    def read(
        self,
        root: str | Path,
        *,
        max_rows_per_file: int | None = None,
        seed: int = 0,
        fine_kinds: bool = False,
    ) -> DatasetTables:
        """Read the data set; parameters and errors as in :class:`ReadFunction`.

        Parameters
        ----------
        root : str or Path
            Folder that holds the published files, at any depth.
        max_rows_per_file : int or None
            Most rows kept of each file, >= 1; None keeps all.
        seed : int
            Seed of the draw, >= 0.
        fine_kinds : bool
            Name single attacks instead of groups.

        Returns
        -------
        DatasetTables
        """
        if max_rows_per_file is not None:
            check_int(self.description.name, "max_rows_per_file", max_rows_per_file, minimum=1)
        check_int(self.description.name, "seed", seed, minimum=0)
        return self.read_files(
            Path(root), max_rows_per_file=max_rows_per_file, seed=seed, fine_kinds=fine_kinds
        )
