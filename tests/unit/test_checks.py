from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from unseen.checks import check_matrix, resolve_labels
from unseen.errors import InputError, LabelError

MISSING_IN_THE_MIDDLE = [0, 1, -1, 1]


@pytest.mark.parametrize(
    "y",
    [
        [False, True, None, True],
        np.array([0, 1, None, 1], dtype=object),
        pd.Series([False, True, None, True], dtype="boolean"),
        pl.Series([False, True, None, True]),
        ["normal", "dos", "", "dos"],
        pd.Series(["normal", "dos", None, "dos"], dtype="string"),
        pd.Series(["normal", "dos", None, "dos"], dtype="category"),
        pl.Series(["normal", "dos", None, "dos"]),
    ],
    ids=str,
)
def test_a_missing_label_means_unlabelled(y):
    labels = resolve_labels("test", 4, y)
    assert labels.y.tolist() == MISSING_IN_THE_MIDDLE
    assert labels.kinds[0] == "normal"
    assert labels.kinds[2] == ""


def test_missing_kinds_beside_numbers_have_no_name():
    kinds = pd.Series(["normal", None, "dos"], dtype="string")
    labels = resolve_labels("test", 3, [0, 1, 1], kinds=kinds)
    assert labels.kinds.tolist() == ["normal", "anomaly", "dos"]


def test_nan_among_real_numbers_is_refused():
    """It may come from a computation that failed; None and pandas.NA are meant."""
    with pytest.raises(LabelError, match=r"-1 \(unlabelled\), got nan at row 1"):
        resolve_labels("test", 3, np.array([0.0, np.nan, 1.0]))


def test_another_number_is_shown_as_it_was_given():
    with pytest.raises(LabelError, match=r"got 2 at row 1; give kind names as text"):
        resolve_labels("test", 3, [0, 2, 1])


def test_numbers_as_text_are_names_of_kinds():
    labels = resolve_labels("test", 3, np.array(["0", "1", None], dtype=object), normal="0")
    assert labels.kinds.tolist() == ["normal", "1", ""]


def test_sparse_matrix_is_refused_in_words():
    with pytest.raises(InputError, match=r"X is a sparse matrix; give X\.toarray\(\)"):
        check_matrix("test", scipy.sparse.csr_matrix(np.eye(3)))
