"""What the columns of a table are: their roles, and the types that a model was fitted on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast, get_args

from unseen.errors import ParameterError, SchemaError
from unseen.types import NORMAL_KIND, Json

ColumnType: TypeAlias = Literal["numeric", "categorical", "boolean"]
"""numeric: any real number; categorical: text, a closed set of names; boolean: true or false."""

COLUMN_TYPES: tuple[ColumnType, ...] = get_args(ColumnType)


@dataclass(frozen=True)
class ColumnRoles:
    """Which columns are not features, and what they say.

    Attributes
    ----------
    kind : str or None
        Column with the kind name of each row; empty cells are unlabelled rows.
    normal : tuple of str
        The kind name(s) that mean normal, compared without case and surrounding white space.
    label : str or None
        Column with 0 (normal), 1 (anomaly) or -1 / empty (unlabelled).
    domain : str or None
        Column that names the sort of normal each row belongs to (a network, a patient, a machine).
    group : str or None
        Column whose equal values mark rows that must never be split.
    ignore : tuple of str
        Columns that are not read as features.
    categorical : tuple of str
        Columns to read as text even if every cell is a number (ports, protocol numbers, codes).
    """

    kind: str | None = None
    normal: tuple[str, ...] = (NORMAL_KIND,)
    label: str | None = None
    domain: str | None = None
    group: str | None = None
    ignore: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("normal", "ignore", "categorical"):
            value = getattr(self, name)
            names = (value,) if isinstance(value, str) else tuple(str(item) for item in value)
            object.__setattr__(self, name, tuple(item.strip() for item in names))
        for name in ("kind", "label", "domain", "group"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, value.strip())
        if not self.normal:
            raise ParameterError("ColumnRoles: normal must name at least one kind, got none.")
        if self.kind is not None and self.kind == self.label:
            raise ParameterError(
                f"ColumnRoles: kind and label must be different columns, both are {self.kind!r}."
            )
        for name in ("domain", "group"):
            value = getattr(self, name)
            if value is not None and value in (self.kind, self.label):
                raise ParameterError(
                    f"ColumnRoles: {value!r} says which rows are anomalies, and cannot be the {name} column."
                )

    @property
    def named(self) -> tuple[str, ...]:
        """The kind, label, domain and group columns that are given, without repeats."""
        given = (self.kind, self.label, self.domain, self.group)
        return tuple(dict.fromkeys(name for name in given if name is not None))

    def is_feature(self, column: str) -> bool:
        """Return whether a column is none of the role or ignored columns.

        Parameters
        ----------
        column : str
            Its name.

        Returns
        -------
        bool
        """
        return column not in self.named and column not in self.ignore

    def to_json(self) -> dict[str, Json]:
        """Return a dict of JSON values."""
        return {
            "kind": self.kind,
            "normal": list(self.normal),
            "label": self.label,
            "domain": self.domain,
            "group": self.group,
            "ignore": list(self.ignore),
            "categorical": list(self.categorical),
        }

    @classmethod
    def from_json(cls, data: Json) -> ColumnRoles:
        """Build the roles from what :meth:`to_json` gave.

        Parameters
        ----------
        data : dict
            JSON values.

        Returns
        -------
        ColumnRoles

        Raises
        ------
        SchemaError
            If a key is missing or unknown, or a value has another type.
        """
        if not isinstance(data, dict) or set(data) != set(ColumnRoles().to_json()):
            raise SchemaError("ColumnRoles: the stored roles must have exactly the keys that to_json writes.")
        single = {key: _optional_text(key, data[key]) for key in ("kind", "label", "domain", "group")}
        several = {key: _texts(key, data[key]) for key in ("normal", "ignore", "categorical")}
        return cls(**single, **several)  # type: ignore[arg-type]


@dataclass(frozen=True)
class TableSchema:
    """The feature columns of a table, in order, with their types and the roles of the other columns.

    Attributes
    ----------
    names : tuple of str
        Feature columns, in the order that models see them.
    types : tuple of {"numeric", "categorical", "boolean"}
        Type of each.
    roles : ColumnRoles
        Roles of the columns that are not features.
    """

    names: tuple[str, ...]
    types: tuple[ColumnType, ...]
    roles: ColumnRoles = field(default_factory=ColumnRoles)

    def __post_init__(self) -> None:
        if len(self.names) != len(self.types) or len(set(self.names)) != len(self.names):
            raise SchemaError("TableSchema: names must be unique and have one type each.")
        unknown = [kind for kind in self.types if kind not in COLUMN_TYPES]
        if unknown:
            raise SchemaError(f"TableSchema: types must be of {', '.join(COLUMN_TYPES)}, got {unknown[0]!r}.")

    def __len__(self) -> int:
        return len(self.names)

    def of_type(self, *types: ColumnType) -> tuple[str, ...]:
        """Return the columns of the given types, in order.

        Parameters
        ----------
        *types : {"numeric", "categorical", "boolean"}
            The types.

        Returns
        -------
        tuple of str
        """
        return tuple(name for name, kind in zip(self.names, self.types, strict=True) if kind in types)

    def to_json(self) -> dict[str, Json]:
        """Return a dict of JSON values; :meth:`from_json` takes it back."""
        return {"names": list(self.names), "types": list(self.types), "roles": self.roles.to_json()}

    @classmethod
    def from_json(cls, data: Json) -> TableSchema:
        """Build the schema from what :meth:`to_json` gave.

        Parameters
        ----------
        data : dict
            JSON values.

        Returns
        -------
        TableSchema

        Raises
        ------
        SchemaError
            If a key is missing or unknown, or a value has another type.
        """
        if not isinstance(data, dict) or set(data) != {"names", "types", "roles"}:
            raise SchemaError("TableSchema: the stored schema must have the keys names, types and roles.")
        names, types = _texts("names", data["names"]), _texts("types", data["types"])
        return cls(names, cast("tuple[ColumnType, ...]", types), ColumnRoles.from_json(data["roles"]))


def listed(names: Iterable[str], most: int = 6) -> str:
    """Return names as quoted text for a message, cut after ``most`` of them."""
    every = [repr(name) for name in names]
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest


def _optional_text(key: str, value: Json) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise SchemaError(f"ColumnRoles: {key} must be text or null, got {value!r}.")


def _texts(key: str, value: Json) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(cast("list[str]", value))
    raise SchemaError(f"TableSchema: {key} must be a list of texts, got {value!r}.")
