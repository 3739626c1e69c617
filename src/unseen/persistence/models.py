"""Save and load fitted models.

A model is a directory of two files: ``manifest.json`` (what it is, its parameters and small values; see
:mod:`unseen.persistence.encoding`) and ``tensors.safetensors`` (its arrays). Nothing in them is executed.
Loading checks that the class is in the catalogue, that parameters and values are of the annotated types, that
every tensor is there with its name, shape and type and no other is, that the tensor file is the one that was
saved (SHA-256), and that the model scores a row.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NoReturn

import polars as pl
import safetensors.numpy
from safetensors import SafetensorError

from unseen import __version__
from unseen.detectors import BaseDetector
from unseen.detectors.catalogue import DETECTORS, IMAGE_DETECTORS
from unseen.errors import InputError, ModelFormatError
from unseen.persistence.directory import current, replace_directory
from unseen.persistence.encoding import Decoder, Tensors, Weights, encode
from unseen.persistence.hints import annotated, matches
from unseen.pipeline.image_model import ImageModel
from unseen.pipeline.table_model import TableModel

FORMAT = "unseen-model"
SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
TENSORS = "tensors.safetensors"

Model = BaseDetector | TableModel | ImageModel
"""What can be saved: a fitted detector, alone or with what it needs for files."""

_CLASSES: dict[str, type[BaseDetector]] = {**DETECTORS, **IMAGE_DETECTORS}
_LARGEST_MANIFEST = 256 * 1024 * 1024
_MANIFEST_TYPES: dict[str, tuple[type, ...]] = {
    "format": (str,),
    "schema_version": (int,),
    "unseen_version": (str,),
    "detector": (dict,),
    "table": (dict, type(None)),
    "images": (dict, type(None)),
    "tensors": (dict,),
    "tensors_sha256": (str,),
}
_DETECTOR_TYPES: dict[str, tuple[type, ...]] = {"name": (str,), "parameters": (dict,), "fitted": (dict,)}
_CANNOT_FIT = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


def save(model: Model, path: str | Path) -> Path:
    """Write a fitted model to a directory, atomically.

    Parameters
    ----------
    model : BaseDetector, TableModel or ImageModel
        Fitted.
    path : str or Path
        The directory. An earlier model there is replaced, at no moment leaving a half-written one.

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    InputError
        If something else than a model lies at ``path``, it cannot be written to, or the model has a value
        that a model file cannot hold.
    """
    target = check_place(path)
    files = _files_of(model)
    try:
        replace_directory(target, files)
    except OSError as error:
        raise InputError(f"save: {path} cannot be written: {error.strerror or error}.") from error
    return target


def check_place(path: str | Path) -> Path:
    """Return where a model would be saved, or raise InputError if that cannot be; good to know before a fit.

    Parameters
    ----------
    path : str or Path
        The directory for ``save``.

    Returns
    -------
    Path
        Absolute.

    Raises
    ------
    InputError
        If something else than a model lies there, or no directory can be made or written there.
    """
    target = Path(path).absolute()
    if target.exists() and not _replaceable(target):
        raise InputError(f"save: {path} exists and is not a saved model; choose another name or remove it.")
    above = next(folder for folder in target.parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"save: {path} cannot be written: {above} is not a directory.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"save: {path} cannot be written: no permission to write in {above}.")
    return target


def load(path: str | Path) -> Model:
    """Read a model that ``save`` wrote.

    Parameters
    ----------
    path : str or Path
        The directory.

    Returns
    -------
    BaseDetector, TableModel or ImageModel
        What was saved; its scores are the same to the last bit.

    Raises
    ------
    ModelFormatError
        If the directory is missing, damaged, of an unknown version, or not a model; the message names the
        file and the item.
    """
    target = Path(path).absolute()
    for attempts_left in (2, 1, 0):
        folder = current(target)
        before = _identity(folder)
        try:
            return _load_from(folder)
        except ModelFormatError:
            if attempts_left == 0 or _identity(current(target)) == before:
                raise  # the directory was not replaced by another process meanwhile
    raise AssertionError("unreachable")


def _files_of(model: Model) -> dict[str, bytes]:
    detector = model if isinstance(model, BaseDetector) else model.detector
    detector._check_fitted()
    tensors: Tensors = {}
    table = None
    if isinstance(model, TableModel):
        values, arrays = model.to_state()
        table = {"values": encode(values, "table", tensors), "arrays": encode(arrays, "arrays", tensors)}
    manifest = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "unseen_version": __version__,
        "detector": _describe(detector, tensors),
        "table": table,
        "images": encode(model.to_state(), "images", tensors) if isinstance(model, ImageModel) else None,
        "tensors": {
            name: {"dtype": array.dtype.name, "shape": list(array.shape)} for name, array in tensors.items()
        },
    }
    content = safetensors.numpy.save(tensors)
    manifest["tensors_sha256"] = hashlib.sha256(content).hexdigest()
    text = json.dumps(manifest, indent=1, allow_nan=False)
    return {TENSORS: content, MANIFEST: text.encode("ascii")}


def _describe(detector: BaseDetector, tensors: Tensors) -> dict[str, Any]:
    name = next((name for name, owner in _CLASSES.items() if owner is type(detector)), None)
    if name is None:
        raise InputError(f"save: {type(detector).__name__} is not in the catalogue of detectors.")
    parameters = detector.get_params(deep=False)
    fitted = {key: value for key, value in vars(detector).items() if key.endswith("_")}
    return {
        "name": name,
        "parameters": {key: encode(value, f"parameters/{key}", tensors) for key, value in parameters.items()},
        "fitted": {key: encode(value, f"fitted/{key}", tensors) for key, value in fitted.items()},
    }


def _load_from(folder: Path) -> Model:
    manifest = _read_manifest(folder)
    decoder = Decoder(_read_tensors(folder, manifest), lambda what: _error(folder / MANIFEST, what))
    described = manifest["detector"]
    _check_keys(folder, "detector", described, _DETECTOR_TYPES)
    try:
        detector = _rebuild(folder, described, decoder)
        if manifest["images"] is not None:
            state = decoder.decode(manifest["images"], "images")
            decoder.finish()
            return ImageModel.from_state(state, detector)
        if manifest["table"] is None:
            decoder.finish()
            return detector
        _check_keys(folder, "table", manifest["table"], {"values": (dict,), "arrays": (dict,)})
        values = decoder.decode(manifest["table"]["values"], "table")
        arrays = decoder.decode(manifest["table"]["arrays"], "arrays")
        decoder.finish()
        model = TableModel.from_state(values, arrays, detector)
        model.score_batch(_empty_row(model))
        return model
    except ModelFormatError:
        raise
    except RecursionError as error:
        raise _error(folder / MANIFEST, "values are nested too deeply") from error
    except _CANNOT_FIT as error:
        raise _error(folder / MANIFEST, f"its values do not fit together ({_one_line(error)})") from error


def _empty_row(model: TableModel) -> pl.DataFrame:
    """Return one row in which every column of the model's schema is missing."""
    types = {"numeric": pl.Float64, "boolean": pl.Boolean, "categorical": pl.String}
    schema = model.schema
    return pl.DataFrame(
        [pl.Series(name, [None], types[kind]) for name, kind in zip(schema.names, schema.types, strict=True)]
    )


def _rebuild(folder: Path, described: dict[str, Any], decoder: Decoder) -> BaseDetector:
    def refuse(what: str) -> NoReturn:
        raise _error(folder / MANIFEST, what)

    owner = _CLASSES.get(described["name"])
    if owner is None:
        refuse(f"detector/name is {described['name']!r}, not one of {sorted(_CLASSES)}")
    given = described["parameters"]
    odd = given.keys() ^ owner().get_params(deep=False).keys()
    if odd:
        refuse(f"detector/parameters has unknown or missing names: {sorted(odd)}")
    parameters = {key: decoder.decode(item, f"parameters/{key}") for key, item in given.items()}
    detector = owner(**parameters)
    detector._check_common_parameters()
    detector._check_parameters()
    hints = {name: hint for name, hint in annotated(owner).items() if name.endswith("_")}
    fitted = {key: decoder.decode(item, f"fitted/{key}") for key, item in described["fitted"].items()}
    fitted.setdefault("feature_names_", None)  # older models do not say
    if fitted.keys() != hints.keys():
        refuse(f"detector/fitted has unknown or missing names: {sorted(fitted.keys() ^ hints.keys())}")
    weights = {key: value for key, value in fitted.items() if isinstance(value, Weights)}
    for key, value in fitted.items():
        if key not in weights and not matches(value, hints[key]):
            refuse(f"fitted/{key} is of the wrong type ({type(value).__name__})")
        setattr(detector, key, value)
    if detector.references_.centres.shape[1:] != (detector.n_features_in_,):
        refuse(f"fitted/n_features_in_ is {detector.n_features_in_}, which the references do not have")
    if detector.feature_names_ is not None and len(detector.feature_names_) != detector.n_features_in_:
        refuse("fitted/feature_names_ does not name every feature")
    for key, value in weights.items():
        network = value.load_into(getattr(detector, f"_build_{key.removesuffix('_')}"))
        if not matches(network, hints[key]):
            refuse(f"fitted/{key} must not be a network")
        setattr(detector, key, network)
    detector._check_fitted_values()
    detector._try_scoring()
    return detector


def _read_manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    if not folder.is_dir():
        raise ModelFormatError(f"load: {folder} is not a directory; give the directory that save wrote.")
    content = _read(file, _LARGEST_MANIFEST)
    try:
        manifest = json.loads(
            content.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_duplicates
        )
    except RecursionError as error:
        raise _error(file, "it is nested too deeply") from error
    except ValueError as error:
        raise _error(file, f"it is not valid JSON ({_one_line(error)})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _error(file, f"it does not call itself {FORMAT!r}")
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise _error(
            file,
            f"schema_version is {version!r}; this version of unseen ({__version__}) reads {SCHEMA_VERSION}",
        )
    manifest.setdefault("images", None)  # models of tables need not say that they hold no pictures
    _check_keys(folder, "manifest", manifest, _MANIFEST_TYPES)
    return manifest


def _read_tensors(folder: Path, manifest: dict[str, Any]) -> Tensors:
    file = folder / TENSORS
    content = _read(file, None)
    if hashlib.sha256(content).hexdigest() != manifest["tensors_sha256"]:
        raise _error(file, "it is truncated, damaged or of another model (SHA-256 differs from the manifest)")
    try:
        tensors: Tensors = safetensors.numpy.load(content)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _error(file, f"it is not a safetensors file ({_one_line(error)})") from error
    expected = manifest["tensors"]
    odd = sorted(expected.keys() ^ tensors.keys())
    if odd:
        state = "missing from it" if odd[0] in expected else "not in the manifest"
        raise _error(file, f"the tensor {odd[0]!r} is {state}")
    for name, array in tensors.items():
        got = {"dtype": array.dtype.name, "shape": list(array.shape)}
        if got != expected[name]:
            raise _error(file, f"the tensor {name!r} is {got}, but the manifest says {expected[name]}")
    return tensors


def _check_keys(folder: Path, name: str, value: dict[str, Any], types: dict[str, tuple[type, ...]]) -> None:
    if set(value) != set(types):
        odd = sorted(set(value) ^ set(types))
        raise _error(folder / MANIFEST, f"{name} has unknown or missing keys: {odd}")
    for key, allowed in types.items():
        if not isinstance(value[key], allowed) or isinstance(value[key], bool):
            raise _error(
                folder / MANIFEST, f"{name}/{key} is of the wrong type ({type(value[key]).__name__})"
            )


def _read(file: Path, largest: int | None) -> bytes:
    try:
        if largest is not None and file.stat().st_size > largest:
            raise _error(file, f"it is larger than {largest} bytes")
        return file.read_bytes()
    except OSError as error:
        raise _error(file, f"it cannot be read ({error.strerror or error})") from error


def _replaceable(target: Path) -> bool:
    if not target.is_dir():
        return False
    if not {item.name for item in target.iterdir()} <= {MANIFEST, TENSORS}:
        return False
    manifest = target / MANIFEST
    return not manifest.exists() or FORMAT.encode() in manifest.read_bytes()


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not allowed")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key occurs twice")
    return values


def _error(file: Path, what: str) -> ModelFormatError:
    return ModelFormatError(f"load: {file} is refused: {what}. Save the model again.")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
