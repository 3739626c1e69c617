"""Joining tables, and the hash that tells data apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from unseen.data import Table
from unseen.evaluation.material import TEST_DOMAIN, describe, fingerprint, gather

MakeTable = Callable[..., Table]


def test_one_table_is_taken_as_it_is(make_table: MakeTable) -> None:
    table = make_table()
    material = gather(table)
    assert material.table is table
    assert material.test_rows is None
    assert set(material.labels.domains.tolist()) == {""}


def test_a_test_table_follows_and_names_its_domain(make_table: MakeTable) -> None:
    material = gather(make_table(), make_table(seed=1, n_normals=20))
    assert material.test_rows is not None
    assert material.test_rows.tolist() == [False] * 222 + [True] * 92
    assert set(material.labels.domains[material.test_rows].tolist()) == {TEST_DOMAIN}
    assert set(material.labels.domains[~material.test_rows].tolist()) == {""}
    about = describe(material, "hash")
    assert about["n_test_rows"] == 92
    assert about["n_domains"] == 0
    assert about["test_kinds"] == {"aside": 24, "far": 24, "near": 24, "normal": 20}


def test_domains_of_both_tables_are_kept(make_table: MakeTable) -> None:
    first, second = make_table(n_domains=2), make_table(seed=1, n_domains=3)
    material = gather(first, second)
    assert first.domains is not None
    assert second.domains is not None
    assert np.array_equal(material.labels.domains, np.concatenate([first.domains, second.domains]))


@pytest.mark.parametrize("what", ["features", "column name", "order", "kinds", "y", "domains", "groups"])
def test_the_hash_sees_every_change(make_table: MakeTable, what: str) -> None:
    table = make_table(n_domains=2)
    assert table.kinds is not None
    assert table.y is not None
    assert table.domains is not None
    if what == "features":
        changed = replace(table, features=table.features.with_columns(pl.col("a") + 1e-9))
    elif what == "column name":
        changed = replace(table, features=table.features.rename({"a": "z"}))
    elif what == "order":
        changed = table.take(np.arange(len(table))[::-1])
    elif what == "kinds":
        changed = replace(table, kinds=np.where(table.kinds == "far", "further", table.kinds))
    elif what == "y":
        changed = replace(table, y=np.where(np.arange(len(table)) == 3, -1, table.y).astype(np.int8))
    elif what == "domains":
        changed = replace(table, domains=np.roll(table.domains, 1))
    else:
        changed = replace(table, groups=table.domains)
    assert fingerprint(gather(table)) == fingerprint(gather(make_table(n_domains=2)))
    assert fingerprint(gather(changed)) != fingerprint(gather(table))
