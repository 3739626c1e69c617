"""Values there and back, and what is refused on the way."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from unseen.errors import InputError, ModelFormatError
from unseen.persistence.encoding import Decoder, Weights, encode
from unseen.references import ReferenceStore
from unseen.scoring.calibration import Calibration


def there_and_back(value):
    tensors = {}
    text = json.dumps(encode(value, "value", tensors), allow_nan=False)
    decoder = Decoder(tensors, ModelFormatError)
    result = decoder.decode(json.loads(text), "value")
    decoder.finish()
    return result


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(plain)
def test_plain_values_come_back_equal_and_of_the_same_type(value):
    result = there_and_back(value)
    assert result == value
    assert repr(result) == repr(value)  # 1 and 1.0 and True differ


def test_nan_comes_back():
    assert math.isnan(there_and_back(math.nan))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12)[::-2],
        np.array([np.nan, np.inf, -0.0]),
        np.array([True, False]),
        np.zeros((0, 4)),
        np.array(3.5),
        np.arange(3, dtype=">i4"),
        np.array(["", "a", "äß€", "\ud800"]),
        np.array([], dtype=np.str_),
        np.array([["a", "bcd"]]),
    ],
    ids=repr,
)
def test_arrays_come_back_to_the_bit(array):
    result = there_and_back(array)
    assert result.shape == array.shape
    assert result.dtype.kind == array.dtype.kind
    assert result.dtype.itemsize == array.dtype.itemsize or array.dtype.kind == "U"
    np.testing.assert_array_equal(result, array)


def test_records_come_back():
    calibration = Calibration.from_scores([1.0, 2.0, 3.0], [0, 0, 0], false_alarm_rate=0.1)
    result = there_and_back(calibration)
    assert type(result) is Calibration
    assert result.threshold == calibration.threshold
    assert math.isnan(result.f1_threshold)
    np.testing.assert_array_equal(result.normal_scores, calibration.normal_scores)


def test_networks_come_back_as_their_weights():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    network(torch.ones(5, 3))
    rebuilt = there_and_back(network).load_into(lambda: nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))
    assert not rebuilt.training
    for name, weight in network.state_dict().items():
        assert torch.equal(rebuilt.state_dict()[name], weight), name
    assert [p.requires_grad for p in rebuilt.parameters()] == [True] * 4


def test_weights_of_another_network_are_refused():
    weights = Weights({"weight": np.zeros((2, 3), np.float32), "bias": np.zeros(2, np.float32)})
    with pytest.raises(ValueError, match=r"weight"):
        weights.load_into(lambda: nn.Linear(3, 4))
    with pytest.raises(ValueError, match=r"bias"):
        weights.load_into(lambda: nn.Linear(3, 2, bias=False))


def test_an_impossibly_large_network_is_refused_without_building_it():
    weights = Weights({"weight": np.zeros((2, 3), np.float32), "bias": np.zeros(2, np.float32)})
    with pytest.raises(ValueError, match=r"weight"):
        weights.load_into(lambda: nn.Linear(10**7, 10**7))


@dataclass(frozen=True)
class Unknown:
    number: int


@pytest.mark.parametrize(
    "value", [object(), {1: 2}, {3}, b"bytes", 1j, np.array([object()]), np.array([1j]), Unknown(1), len]
)
def test_other_values_cannot_be_saved(value):
    with pytest.raises(InputError, match=r"save: here"):
        encode(value, "here", {})


STORE = {"domains": {"text": [], "shape": [0]}, "centres": {"array": "t"}, "spreads": None, "rows": None}


@pytest.mark.parametrize(
    "value",
    [
        {"float": "1e9"},
        {"float": 1.0},
        {"float": ["nan"]},
        {"tuple": 3},
        {"dict": []},
        {"array": "absent"},
        {"array": ["t"]},
        {"array": {"t": 1}},
        {"text": "abc", "shape": [3]},
        {"text": ["a", 1], "shape": [2]},
        {"text": ["a"], "shape": [2]},
        {"text": ["a"], "shape": [-1]},
        {"text": ["a"], "shape": [True]},
        {"text": ["a"], "shape": [10**30]},
        {"text": ["a"]},
        {"record": "os.system", "fields": {}},
        {"record": "Unknown", "fields": {"number": 1}},
        {"record": ["Calibration"], "fields": {}},
        {"record": "Calibration", "fields": []},
        {"record": "Calibration", "fields": {}},
        {"record": "ReferenceStore", "fields": {**STORE, "offsets": None, "more": 1}},
        {"record": "ReferenceStore", "fields": {**STORE, "offsets": None}},
        {"module": "weights"},
        {"module": ["absent"]},
        {"module": [None]},
        {"array": "t", "float": "nan"},
        {"pickle": "gASVAAAAAAAAAA=="},
        {},
        [[{"__class__": "os"}]],
    ],
    ids=str,
)
def test_hostile_values_are_refused(value):
    with pytest.raises(ModelFormatError, match=r"here"):
        Decoder({"t": np.zeros((1, 2))}, ModelFormatError).decode(value, "here")


def test_a_tensor_serves_once_and_none_is_left_over():
    decoder = Decoder({"t": np.zeros(1), "u": np.zeros(1)}, ModelFormatError)
    decoder.decode({"array": "t"}, "here")
    with pytest.raises(ModelFormatError, match=r"taken"):
        decoder.decode({"array": "t"}, "here")
    with pytest.raises(ModelFormatError, match=r"'u' belongs to nothing"):
        decoder.finish()


def test_the_record_types_are_checked_against_the_annotations():
    good = encode(
        ReferenceStore(
            np.array(["a"]), np.zeros((2, 1)), np.ones((2, 1)), np.zeros((0, 1)), np.zeros(3, dtype=np.int64)
        ),
        "store",
        tensors := {},
    )
    assert Decoder(tensors, ModelFormatError).decode(good, "store").domains.tolist() == ["a"]
    swapped = {**good, "fields": {**good["fields"], "offsets": good["fields"]["rows"]}}
    with pytest.raises(ModelFormatError, match=r"wrong type|taken"):
        Decoder(tensors, ModelFormatError).decode(swapped, "store")
