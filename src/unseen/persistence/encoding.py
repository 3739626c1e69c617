"""Fitted values as JSON and tensors, and back.

JSON holds ``null``, booleans, whole and finite numbers, text and lists as they are. Everything else is an
object with exactly one key that says what it is::

    {"float": "nan" | "inf" | "-inf"}
    {"tuple": [...]}        {"dict": {name: value}}
    {"array": tensor name}  {"text": [...], shape in "shape"}: an array of strings
    {"record": name, "fields": {...}}: one of the dataclasses in RECORDS
    {"module": [tensor names]}: the weights of a network

Nothing here imports or calls what a file names: names are looked up in literal tables.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unseen.detectors.cell_search import CellIndex
from unseen.detectors.fused.common_signs import CommonSigns
from unseen.detectors.fused.evidence import LabelledRows
from unseen.detectors.fused.forest import Forest
from unseen.detectors.fused.left_out import LeftOutScores
from unseen.detectors.fused.lift import Exceedance, Lift, Raise
from unseen.detectors.fused.mode import Mode
from unseen.detectors.fused.moments import Moments, WideMoments
from unseen.detectors.fused.novelty import DomainNormals, NormalModel
from unseen.detectors.fused.scales import CueScales
from unseen.detectors.labelled_trees import LabelledTrees
from unseen.detectors.lambda_curve import LambdaCurve
from unseen.errors import InputError, ModelFormatError
from unseen.persistence.hints import annotated, matches
from unseen.references import ReferenceStore
from unseen.scoring.calibration import Calibration

RECORDS: dict[str, type[Any]] = {
    "Calibration": Calibration,
    "CueScales": CueScales,
    "DomainNormals": DomainNormals,
    "CellIndex": CellIndex,
    "CommonSigns": CommonSigns,
    "Exceedance": Exceedance,
    "Forest": Forest,
    "LabelledRows": LabelledRows,
    "LabelledTrees": LabelledTrees,
    "LambdaCurve": LambdaCurve,
    "Lift": Lift,
    "Mode": Mode,
    "LeftOutScores": LeftOutScores,
    "Moments": Moments,
    "Raise": Raise,
    "NormalModel": NormalModel,
    "ReferenceStore": ReferenceStore,
    "WideMoments": WideMoments,
}
"""Every dataclass that a saved model may hold."""

Tensors = dict[str, NDArray[Any]]

_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_KEYS = {
    "float": {"float"},
    "tuple": {"tuple"},
    "dict": {"dict"},
    "array": {"array"},
    "text": {"text", "shape"},
    "record": {"record", "fields"},
    "module": {"module"},
}
_DTYPES = {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
_DTYPES |= {"float16", "float32", "float64"}


def encode(value: object, where: str, tensors: Tensors) -> Any:
    """Return a value as JSON; its arrays go into ``tensors``.

    Parameters
    ----------
    value : object
        None, a bool, int, float, str, numeric or string array, network, dataclass of ``RECORDS``, or a list,
        tuple or dict (with str keys) of those.
    where : str
        Name of the value; names of its tensors begin with it.
    tensors : dict of str to ndarray
        Filled.

    Returns
    -------
    JSON value

    Raises
    ------
    InputError
        If the value is of another type.
    """
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, np.bool_ | int | np.integer):
        return bool(value) if isinstance(value, np.bool_) else int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if math.isfinite(number) else {"float": str(number)}
    if isinstance(value, np.ndarray):
        return _encode_array(value, where, tensors)
    if isinstance(value, nn.Module):
        return _encode_module(value, where, tensors)
    if isinstance(value, list | tuple):
        items = [encode(item, f"{where}/{i}", tensors) for i, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: encode(item, f"{where}/{key}", tensors) for key, item in value.items()}}
    name = type(value).__name__
    if RECORDS.get(name) is type(value):
        names = [field.name for field in dataclasses.fields(cast(Any, value))]
        return {
            "record": name,
            "fields": {key: encode(getattr(value, key), f"{where}/{key}", tensors) for key in names},
        }
    raise InputError(
        f"save: {where} is of type {name}, which no model file can hold; use numbers, text, lists or arrays."
    )


class Decoder:
    """Turns JSON back into values; every tensor must be asked for exactly once.

    Parameters
    ----------
    tensors : dict of str to ndarray
        All tensors of the model file.
    refuse : callable
        Makes the error to raise, from what is wrong in words.
    """

    def __init__(self, tensors: Tensors, refuse: Callable[[str], ModelFormatError]) -> None:
        self._left = dict(tensors)
        self._refuse = refuse

    def decode(self, value: Any, where: str) -> Any:
        """Return the value that ``encode`` was given.

        Parameters
        ----------
        value : JSON value
            As read from the manifest.
        where : str
            Its name, for messages.

        Returns
        -------
        object
            Networks come as a dict of their weights (:class:`Weights`).

        Raises
        ------
        ModelFormatError
            If it is not something that ``encode`` writes.
        """
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list):
            return [self.decode(item, f"{where}/{i}") for i, item in enumerate(value)]
        kind = next((key for key in _KEYS if isinstance(value, dict) and set(value) == _KEYS[key]), None)
        if kind is None:
            raise self._refuse(f"{where} is not a value of a known form")
        return getattr(self, f"_decode_{kind}")(value, where)

    def finish(self) -> None:
        """Raise ModelFormatError if a tensor was never asked for."""
        if self._left:
            raise self._refuse(f"the tensor {min(self._left)!r} belongs to nothing in the manifest")

    def _decode_float(self, value: dict[str, Any], where: str) -> float:
        name = value["float"]
        if not isinstance(name, str) or name not in _FLOATS:
            raise self._refuse(f"{where} is not a number")
        return _FLOATS[name]

    def _decode_tuple(self, value: dict[str, Any], where: str) -> tuple[Any, ...]:
        if not isinstance(value["tuple"], list):
            raise self._refuse(f"{where} is not a tuple")
        return tuple(self.decode(value["tuple"], where))

    def _decode_dict(self, value: dict[str, Any], where: str) -> dict[str, Any]:
        if not isinstance(value["dict"], dict):
            raise self._refuse(f"{where} is not a dict")
        return {key: self.decode(item, f"{where}/{key}") for key, item in value["dict"].items()}

    def _decode_array(self, value: dict[str, Any], where: str) -> NDArray[Any]:
        name = value["array"]
        if not isinstance(name, str) or name not in self._left:
            raise self._refuse(f"{where} asks for the tensor {name!r}, which is missing or taken")
        return self._left.pop(name)

    def _decode_text(self, value: dict[str, Any], where: str) -> NDArray[np.str_]:
        items, shape = value["text"], value["shape"]
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise self._refuse(f"{where} is not an array of strings")
        if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
            raise self._refuse(f"{where} has no valid shape")
        if math.prod(shape) != len(items):
            raise self._refuse(f"{where} has {len(items)} strings for the shape {shape}")
        return np.array(items, dtype=np.str_).reshape(shape)

    def _decode_record(self, value: dict[str, Any], where: str) -> Any:
        name, given = value["record"], value["fields"]
        if not isinstance(name, str) or name not in RECORDS or not isinstance(given, dict):
            raise self._refuse(f"{where} is not a record of a known name")
        hints = annotated(RECORDS[name])
        fields = {field.name for field in dataclasses.fields(RECORDS[name])}
        if set(given) != fields:
            raise self._refuse(f"{where} must have the fields {sorted(fields)}, got {sorted(given)}")
        decoded = {key: self.decode(item, f"{where}/{key}") for key, item in given.items()}
        for key, item in decoded.items():
            if not matches(item, hints[key]):
                raise self._refuse(f"{where}/{key} is of the wrong type ({type(item).__name__})")
        return RECORDS[name](**decoded)

    def _decode_module(self, value: dict[str, Any], where: str) -> Weights:
        names = value["module"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._refuse(f"{where} is not a list of weights")
        return Weights({name: self._decode_array({"array": f"{where}/{name}"}, where) for name in names})


class Weights(dict[str, NDArray[Any]]):
    """Weights of a network by their names in its state dict."""

    def load_into(self, build: Callable[[], nn.Module]) -> nn.Module:
        """Build an empty network and give it these weights.

        Parameters
        ----------
        build : callable
            Makes the network; it is called without allocating memory, so that nothing large can come of
            parameters that do not fit the weights.

        Returns
        -------
        nn.Module
            In evaluation mode, on the CPU.

        Raises
        ------
        ValueError
            If names, shapes or types of the weights are not those of the network.
        """
        with torch.device("meta"):
            module = build()
        expected = {name: (tuple(item.shape), item.dtype) for name, item in module.state_dict().items()}
        tensors = {name: torch.from_numpy(item.copy()) for name, item in self.items()}
        got = {name: (tuple(item.shape), item.dtype) for name, item in tensors.items()}
        wrong = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
        if wrong:
            raise ValueError(f"its weight {wrong[0]!r} is {got.get(wrong[0])}, not {expected.get(wrong[0])}")
        module.load_state_dict(tensors, assign=True)
        return module.eval()


def _encode_array(array: NDArray[Any], where: str, tensors: Tensors) -> dict[str, Any]:
    if array.dtype.kind == "U":
        return {"text": [str(item) for item in array.ravel()], "shape": list(array.shape)}
    if array.dtype.name not in _DTYPES:
        raise InputError(f"save: {where} is an array of {array.dtype}, which a model file cannot hold.")
    tensors[where] = np.array(array, dtype=array.dtype.newbyteorder("="), order="C", copy=True)
    return {"array": where}


def _encode_module(module: nn.Module, where: str, tensors: Tensors) -> dict[str, Any]:
    state = module.state_dict()
    for name, weight in state.items():
        tensors[f"{where}/{name}"] = np.array(weight.detach().cpu().numpy(), order="C", copy=True)
    return {"module": list(state)}
