"""Saved models: whole ones load, all others are refused with one line."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import polars as pl
import pytest
import safetensors.numpy

from unseen.data import ColumnRoles, Table, TableSchema
from unseen.detectors import VAE, IsolationForest, KNearestNeighbours, Mahalanobis
from unseen.errors import InputError, ModelFormatError
from unseen.persistence import load, save
from unseen.pipeline import TableModel


def rows(n=60, d=3):
    return np.random.default_rng(0).normal(size=(n, d))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    detector = Mahalanobis().fit(rows()).adapt(rows(5), domains=["a"] * 5)
    return save(detector, tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def rewrite(folder, change):
    """Apply ``change(manifest, tensors)`` to a model, leaving it consistent on the outside."""
    manifest = json.loads((folder / "manifest.json").read_text())
    tensors = safetensors.numpy.load_file(folder / "tensors.safetensors")
    change(manifest, tensors)
    content = safetensors.numpy.save(tensors)
    manifest["tensors_sha256"] = hashlib.sha256(content).hexdigest()
    manifest["tensors"] = {
        name: {"dtype": array.dtype.name, "shape": list(array.shape)} for name, array in tensors.items()
    }
    (folder / "tensors.safetensors").write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def refused(folder, match=r"."):
    with pytest.raises(ModelFormatError, match=match) as caught:
        load(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("load: ")
    assert str(folder) in message


# ------------------------------------------------------------------ whole files
@pytest.mark.parametrize("file", ["manifest.json", "tensors.safetensors"])
def test_a_missing_file_is_refused(copy, file):
    (copy / file).unlink()
    refused(copy, rf"{file}.*cannot be read")


@pytest.mark.parametrize("file", ["manifest.json", "tensors.safetensors"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(copy, file, share):
    content = (copy / file).read_bytes()
    (copy / file).write_bytes(content[: int(len(content) * share)])
    refused(copy, file)


def test_a_flipped_bit_in_the_tensors_is_refused(copy):
    content = bytearray((copy / "tensors.safetensors").read_bytes())
    content[-3] ^= 1
    (copy / "tensors.safetensors").write_bytes(bytes(content))
    refused(copy, r"SHA-256")


@pytest.mark.parametrize(
    "content", [b"\x00" * 100, b"\xff" * 8, (10**15).to_bytes(8, "little") + b"{}", b"PK\x03\x04"]
)
def test_something_else_than_safetensors_is_refused(copy, content):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["tensors_sha256"] = hashlib.sha256(content).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    (copy / "tensors.safetensors").write_bytes(content)
    refused(copy, r"safetensors")


def test_a_missing_directory_and_a_plain_file_are_refused(tmp_path):
    refused(tmp_path / "nothing", r"not a directory")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", r"not a directory")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"manifest\.json")


def test_directories_in_place_of_files_are_refused(copy):
    (copy / "manifest.json").unlink()
    (copy / "manifest.json").mkdir()
    refused(copy, r"cannot be read")


# --------------------------------------------------------------------- manifest
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "3",
        '{"format": "unseen-model"',
        "\ud800".encode("utf-8", "surrogatepass"),
        '{"format": "unseen-model", "format": "unseen-model"}',
        '{"format": "unseen-model", "schema_version": NaN}',
        '{"format": "unseen-model", "schema_version": Infinity}',
        '{"format": "unseen-model", "schema_version": ' + "9" * 5000 + "}",
        "[" * 200_000,
        '{"a":' * 200_000,
        '{"format": "pickle"}',
        '{"format": "unseen-model", "schema_version": 1}',
    ],
    ids=lambda text: repr(text[:50]),
)
def test_a_manifest_that_is_none_is_refused(copy, text):
    (copy / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(copy, r"manifest\.json")


@pytest.mark.parametrize("version", [0, 2, 999, -1, "1", None, 1.5, [1], True, {}])
def test_unknown_versions_are_refused(copy, version):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["schema_version"] = version
    (copy / "manifest.json").write_text(json.dumps(manifest))
    refused(copy, r"schema_version")


@pytest.mark.parametrize(
    "key", ["detector", "table", "tensors", "tensors_sha256", "unseen_version", "format", "schema_version"]
)
@pytest.mark.parametrize("value", [3, "text", [], [[]], True, "absent"], ids=repr)
def test_missing_keys_and_wrong_types_are_refused(copy, key, value):
    manifest = json.loads((copy / "manifest.json").read_text())
    if value == "absent":
        del manifest[key]
    elif key == "unseen_version" and isinstance(value, str):
        manifest[key] = [value]
    else:
        manifest[key] = value
    (copy / "manifest.json").write_text(json.dumps(manifest))
    refused(copy, r"manifest\.json|tensors\.safetensors")


def test_unknown_keys_are_refused(copy):
    for place in ([], ["detector"], ["detector", "parameters"], ["detector", "fitted"]):
        manifest = json.loads((copy / "manifest.json").read_text())
        target = manifest
        for step in place:
            target = target[step]
        target["surprise"] = 1
        changed = copy.with_name("changed-" + "-".join(place))
        shutil.copytree(copy, changed)
        (changed / "manifest.json").write_text(json.dumps(manifest))
        refused(changed, r"surprise")


# --------------------------------------------------------------------- detector
def set_in(*path_and_value):
    *path, last, value = path_and_value

    def change(manifest, tensors):
        target = manifest
        for step in path:
            target = target[step]
        target[last] = value

    return change


def replace_tensor(name, make):
    def change(manifest, tensors):
        tensors[name] = make(tensors[name])

    return change


FITTED = ("detector", "fitted")
HOSTILE = {
    "unknown class": set_in("detector", "name", "os.system"),
    "class by its path": set_in("detector", "name", "unseen.detectors.baselines.mahalanobis.Mahalanobis"),
    "path as a name": set_in("detector", "name", "../../etc/passwd"),
    "name of another type": set_in("detector", "name", ["mahalanobis"]),
    "another class": set_in("detector", "name", "k-nearest-neighbours"),
    "no parameters": set_in("detector", "parameters", {}),
    "parameter out of range": set_in("detector", "parameters", "false_alarm_rate", 7),
    "parameter of another type": set_in("detector", "parameters", "shrinkage", ["ledoit-wolf"]),
    "parameter as a record": set_in(
        "detector", "parameters", "seed", {"record": "Path", "fields": {"path": "/etc"}}
    ),
    "no fitted values": set_in("detector", "fitted", {}),
    "fitted values as text": set_in(*FITTED, "means_", "abc"),
    "fitted value missing": lambda manifest, tensors: manifest["detector"]["fitted"].pop("means_"),
    "number for an array": set_in(*FITTED, "means_", 3.0),
    "array for a number": set_in(*FITTED, "n_features_in_", {"text": ["3"], "shape": [1]}),
    "huge number of features": set_in(*FITTED, "n_features_in_", 10**15),
    "negative number of features": set_in(*FITTED, "n_features_in_", -3),
    "boolean number of features": set_in(*FITTED, "n_features_in_", True),
    "other number of features": set_in(*FITTED, "n_features_in_", 2),
    "too few names of features": set_in(*FITTED, "feature_names_", {"tuple": ["a"]}),
    "a number for names of features": set_in(*FITTED, "feature_names_", 7),
    "calibration of another record": set_in(*FITTED, "calibration_", "record", "ReferenceStore"),
    "text as a threshold": set_in(*FITTED, "calibration_", "fields", "threshold", "high"),
    "null as a threshold": set_in(*FITTED, "calibration_", "fields", "threshold", None),
    "references are null": set_in(*FITTED, "references_", None),
    "a tensor twice": set_in(*FITTED, "means_", {"array": "fitted/precisions_"}),
    "a path as a tensor": set_in(*FITTED, "means_", {"array": "../tensors.safetensors"}),
    "a network for an array": set_in(*FITTED, "means_", {"module": []}),
    "tensor of another type": replace_tensor("fitted/means_", lambda array: array.astype(np.int64)),
    "tensor of half precision": replace_tensor("fitted/means_", lambda array: array.astype(np.float16)),
    "tensor with a row less": replace_tensor("fitted/means_", lambda array: array[:1]),
    "tensor with a column more": replace_tensor(
        "fitted/precisions_", lambda array: np.pad(array, [(0, 0)] * 2 + [(0, 1)])
    ),
    "tensor of more dimensions": replace_tensor("fitted/means_", lambda array: array[None]),
    "tensor too many": lambda manifest, tensors: tensors.update(extra=np.zeros(3)),
    "tensor too few": lambda manifest, tensors: tensors.__delitem__("fitted/means_"),
    "nested too deeply": lambda manifest, tensors: manifest["detector"]["parameters"].update(
        seed=nested(900)
    ),
}


def nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_manifests_are_refused(copy, what):
    rewrite(copy, HOSTILE[what])
    refused(copy)


def test_the_rewriting_of_these_tests_is_not_what_is_refused(copy):
    rewrite(copy, lambda manifest, tensors: None)
    assert isinstance(load(copy), Mahalanobis)


@pytest.mark.parametrize(
    ("key", "value"),
    [("shape", [2, 4]), ("shape", [10**12, 10**12]), ("dtype", "float32"), ("dtype", "object")],
)
def test_shapes_and_types_that_differ_from_the_manifest_are_refused(copy, key, value):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["tensors"]["fitted/means_"][key] = value
    (copy / "manifest.json").write_text(json.dumps(manifest))
    refused(copy, r"tensor 'fitted/means_' is")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("fitted/children_", lambda array: array + 10**9),
        ("fitted/children_", lambda array: -array - 1),
        ("fitted/features_", lambda array: array + 50),
        ("fitted/roots_", lambda array: array[:0]),
        ("fitted/cuts_", lambda array: array[:-1]),
    ],
)
def test_trees_that_point_nowhere_are_refused(tmp_path, name, make):
    folder = save(IsolationForest(n_trees=3).fit(rows()), tmp_path / "model")
    rewrite(folder, replace_tensor(name, make))
    refused(folder, r"do not fit together")


def test_an_endless_tree_is_refused(tmp_path):
    folder = save(IsolationForest(n_trees=3).fit(rows()), tmp_path / "model")
    rewrite(folder, set_in(*FITTED, "depth_", 10**15))
    refused(folder, r"do not fit together")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("fitted/bank_", lambda array: array[:, :2]),
        ("fitted/bank_", lambda array: array[:0]),
        ("fitted/reference_offsets_", lambda array: array * 2),
        ("fitted/reference_offsets_", lambda array: array[:1]),
        ("fitted/reference_rows_", lambda array: array[:, :1]),
    ],
)
def test_banks_that_do_not_add_up_are_refused(tmp_path, name, make):
    detector = KNearestNeighbours().fit(rows()).adapt(rows(4), domains=["a", "a", "b", "b"])
    folder = save(detector, tmp_path / "model")
    rewrite(folder, replace_tensor(name, make))
    refused(folder, r"do not fit together")


@pytest.mark.parametrize(
    "change",
    [
        set_in("detector", "parameters", "hidden", {"tuple": [10**9]}),
        set_in("detector", "parameters", "hidden", {"tuple": [8, 8]}),
        set_in("detector", "parameters", "latent", 3),
        set_in("detector", "parameters", "device", "cuda:99"),
        set_in(*FITTED, "network_", {"module": []}),
        set_in(*FITTED, "network_", {"dict": {}}),
        set_in(*FITTED, "history_", {"module": []}),
    ],
)
def test_networks_that_do_not_fit_their_parameters_are_refused(tmp_path, change):
    folder = save(VAE(hidden=(8,), latent=2, epochs=1).fit(rows()), tmp_path / "model")
    rewrite(folder, change)
    refused(folder)


# ----------------------------------------------------------------------- tables
@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(3)
    n = 80
    frame = pl.DataFrame(
        {
            "bytes": random.lognormal(size=n),
            "service": random.choice(["http", "dns", "ssh"], n),
            "urgent": random.random(n) < 0.5,
        }
    )
    schema = TableSchema(
        ("bytes", "service", "urgent"), ("numeric", "categorical", "boolean"), ColumnRoles(kind="kind")
    )
    kinds = np.where(np.arange(n) % 10, "normal", "scan")
    return Table(frame, schema, kinds, (kinds != "normal").astype(np.int8))


@pytest.fixture
def saved_table(table, tmp_path):
    model = TableModel.fit(table, KNearestNeighbours())
    return model, save(model, tmp_path / "model")


def test_a_table_model_comes_back(saved_table, table):
    model, folder = saved_table
    loaded = load(folder)
    assert isinstance(loaded, TableModel)
    assert loaded.schema == model.schema
    assert loaded.summary == model.summary
    expected, got = model.score_batch(table.features), loaded.score_batch(table.features)
    for name in ("score", "p_value", "flagged", "contributions"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), err_msg=name)


def drop_array(manifest, tensors):
    name = next(name for name in tensors if name.startswith("arrays/"))
    del tensors[name]


@pytest.mark.parametrize(
    "change",
    [
        set_in("table", "values", {"dict": {}}),
        set_in("table", "values", 3),
        set_in("table", "arrays", {"dict": {}}),
        set_in("table", "arrays", []),
        set_in("table", {}),
        set_in("table", "values", "dict", "schema", {"dict": {}}),
        set_in("table", "values", "dict", "schema", None),
        set_in("table", "values", "dict", "preprocessor", "dict", "columns", ["bytes"]),
        set_in("table", "values", "dict", "preprocessor", "dict", "columns", 7),
        set_in("table", "values", "dict", "preprocessor", "dict", "parameters", {"dict": {"path": "/etc"}}),
        set_in("table", "values", "dict", "summary", []),
        set_in("detector", "name", "mahalanobis"),
        drop_array,
    ],
)
def test_hostile_tables_are_refused(saved_table, change):
    _, folder = saved_table
    rewrite(folder, change)
    refused(folder)


def test_a_table_model_with_the_detector_of_another_is_refused(saved_table, tmp_path):
    _, folder = saved_table
    other = json.loads((save(Mahalanobis().fit(rows(d=9)), tmp_path / "other") / "manifest.json").read_text())
    tensors_of_other = safetensors.numpy.load_file(tmp_path / "other" / "tensors.safetensors")

    def change(manifest, tensors):
        manifest["detector"] = other["detector"]
        for name in [name for name in tensors if name.startswith("fitted/")]:
            del tensors[name]
        tensors.update(tensors_of_other)

    rewrite(folder, change)
    refused(folder, r"features")


# ------------------------------------------------------------------------ saving
def test_what_is_no_model_is_never_replaced(tmp_path):
    detector = Mahalanobis().fit(rows())
    (tmp_path / "notes.txt").write_text("precious")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"name": "a browser extension"}')
    for target in (tmp_path / "notes.txt", tmp_path, folder):
        with pytest.raises(InputError, match=r"not a saved model"):
            save(detector, target)
    assert (tmp_path / "notes.txt").read_text() == "precious"
    assert [item.name for item in folder.iterdir()] == ["manifest.json"]


def test_values_that_no_file_can_hold_leave_nothing_behind(tmp_path):
    detector = Mahalanobis().fit(rows())
    detector.surprise_ = object()
    with pytest.raises(InputError, match=r"surprise_"):
        save(detector, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_detector_outside_the_catalogue_cannot_be_saved(tmp_path):
    class Own(Mahalanobis):
        pass

    with pytest.raises(InputError, match=r"Own is not in the catalogue"):
        save(Own().fit(rows()), tmp_path / "model")


def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cannot be written"):
        save(Mahalanobis().fit(rows()), tmp_path / "file" / "model")
