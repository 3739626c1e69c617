"""Roles and schemas: normal forms, JSON, and refusals."""

from __future__ import annotations

import json

import pytest

from unseen.data import ColumnRoles, TableSchema
from unseen.errors import ParameterError, SchemaError


def test_roles_are_brought_to_one_form() -> None:
    roles = ColumnRoles(kind=" Label ", normal="BENIGN", ignore="id")  # type: ignore[arg-type]
    assert (roles.kind, roles.normal, roles.ignore) == ("Label", ("BENIGN",), ("id",))
    assert not roles.is_feature("Label")
    assert not roles.is_feature("id")
    assert roles.is_feature("x")
    assert ColumnRoles(domain="site", group="site").named == ("site",)


def test_json_round_trip() -> None:
    roles = ColumnRoles(kind="k", domain="d", group="g", ignore=("i",), categorical=("c",))
    schema = TableSchema(("c", "n", "b"), ("categorical", "numeric", "boolean"), roles)
    assert TableSchema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert schema.of_type("numeric", "boolean") == ("n", "b")


def test_refusals() -> None:
    with pytest.raises(ParameterError, match="at least one"):
        ColumnRoles(normal=())
    with pytest.raises(ParameterError, match="different columns"):
        ColumnRoles(kind="y", label="y")
    with pytest.raises(SchemaError, match="unique"):
        TableSchema(("a", "a"), ("numeric", "numeric"))
    with pytest.raises(SchemaError, match="'date'"):
        TableSchema(("a",), ("date",))  # type: ignore[arg-type]
    good = TableSchema(("a",), ("numeric",)).to_json()
    with pytest.raises(SchemaError, match="must have the keys"):
        TableSchema.from_json({**good, "more": 1})
    with pytest.raises(SchemaError, match="list of texts"):
        TableSchema.from_json({**good, "names": [1]})
    with pytest.raises(SchemaError, match="exactly the keys"):
        TableSchema.from_json({**good, "roles": {}})
