"""MIT-BIH: WFDB records with two leads and beat annotations, written as PhysioNet writes them."""

import builtins
from pathlib import Path

import numpy as np
import pytest

from unseen.data.datasets import read_dataset
from unseen.data.datasets.mitbih import DS1, DS2, FEATURES, cut_beats
from unseen.errors import MissingExtraError, ReadError

wfdb = pytest.importorskip("wfdb")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # wfdb's own use of pandas

BEATS = ((60, "N"), (400, "N"), (700, "A"), (1000, "V"), (1300, "L"), (1600, "F"), (1800, "a"), (1950, "N"))
LENGTH = 2000


def write_record(
    root: Path, record: str, *, leads: tuple[str, str] = ("MLII", "V5"), rate: int = 360
) -> None:
    generator = np.random.default_rng(int(record))
    signal = np.cumsum(generator.normal(0, 0.02, (LENGTH, 2)), axis=0)
    wfdb.wrsamp(
        record, rate, ["mV", "mV"], list(leads), p_signal=signal, fmt=["212", "212"], write_dir=str(root)
    )
    samples, symbols = [10, *(at for at, _ in BEATS), 1960], ["+", *(name for _, name in BEATS), "~"]
    notes = ["(N", *("" for _ in BEATS), ""]
    wfdb.wrann(record, "atr", np.array(samples), symbol=symbols, aux_note=notes, write_dir=str(root))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mitdb")
    for record in DS1 + DS2:
        write_record(folder, record, leads=("V5", "MLII") if record == "114" else ("MLII", "V1"))
    return folder


def test_the_usual_halves() -> None:
    assert len(DS1) == len(DS2) == 22
    assert not set(DS1) & set(DS2)
    assert not {"102", "104", "107", "217"} & set(DS1 + DS2)


def test_classes_patients_and_columns(root: Path) -> None:
    tables = read_dataset("mit-bih", root)
    assert tables.test is not None
    assert sorted(set(tables.train.domains.tolist())) == sorted(DS1)
    assert sorted(set(tables.test.domains.tolist())) == sorted(DS2)
    assert tuple(tables.train.features.columns) == FEATURES
    one = tables.train.take(tables.train.domains == "101")
    assert one.kinds.tolist() == ["normal", "S", "V", "normal", "F", "S"]
    assert one.y.tolist() == [0, 1, 1, 0, 1, 1]


def test_windows_are_z_scored_and_rr_intervals_come_from_the_whole_record(root: Path) -> None:
    features = read_dataset("mit-bih", root).train.features.head(6)
    window = features.select(FEATURES[:187]).to_numpy()
    np.testing.assert_allclose(window.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(window.std(axis=1), 1, atol=1e-5)
    expected = np.array([340, 300, 300, 300, 300, 200]) / 360
    np.testing.assert_allclose(features["rr_prev_s"].to_numpy(), expected)
    np.testing.assert_allclose(features["rr_next_s"].to_numpy()[-1], 150 / 360)


def test_lead_mlii_is_taken_wherever_it_stands(root: Path) -> None:
    record = wfdb.rdrecord(str(root / "114"))
    lead = record.p_signal[:, record.sig_name.index("MLII")]
    train = read_dataset("mit-bih", root).train
    window = train.take(train.domains == "114").features.select(FEATURES[:187]).to_numpy()[0]
    cut = lead[400 - 90 : 400 + 97]
    np.testing.assert_allclose(window, (cut - cut.mean()) / cut.std(), atol=1e-4)


def test_beats_by_hand() -> None:
    signal = np.arange(1000.0)
    beats = cut_beats(signal, np.array([89, 90, 500, 903, 904]), np.array(["N", "N", "V", "S", "Q"]))
    assert beats.symbols.tolist() == ["N", "V", "S"]
    ramp = (np.arange(187) - 93) / np.arange(187).std()
    np.testing.assert_allclose(beats.features[:, :187], np.tile(ramp, (3, 1)))
    np.testing.assert_allclose(beats.features[:, 187], np.array([1, 410, 403]) / 360)
    np.testing.assert_allclose(beats.features[:, 188], np.array([410, 403, 1]) / 360)


def test_a_flat_window_and_the_ends_of_a_record() -> None:
    beats = cut_beats(np.zeros(187), np.array([90]), np.array(["N"]))
    assert np.array_equal(beats.features[0, :187], np.zeros(187))
    assert np.isnan(beats.features[0, 187:]).all()
    assert len(cut_beats(np.zeros(187), np.array([], dtype=int), np.array([], dtype=str)).symbols) == 0


def test_fine_kinds_are_beat_types(root: Path) -> None:
    train = read_dataset("mit-bih", root, fine_kinds=True).train
    names = train.take(train.domains == "101").kinds.tolist()
    assert names == [
        "normal",
        "atrial-premature",
        "ventricular-premature",
        "normal",
        "fusion",
        "aberrated-atrial-premature",
    ]


def test_a_draw_is_per_record(root: Path) -> None:
    train = read_dataset("mit-bih", root, max_rows_per_file=4).train
    assert len(train) == 4 * len(DS1)
    assert set(train.kinds.tolist()) == {"normal", "S", "V", "F"}


def test_faults_of_records_are_named(tmp_path: Path) -> None:
    for record in DS1 + DS2:
        write_record(tmp_path, record)
    (tmp_path / "118.atr").unlink()
    with pytest.raises(ReadError, match=r"118\.atr.* is missing.*PhysioNet"):
        read_dataset("mit-bih", tmp_path)
    write_record(tmp_path, "118", leads=("V2", "V5"))
    with pytest.raises(ReadError, match=r"118.* no lead MLII"):
        read_dataset("mit-bih", tmp_path)
    write_record(tmp_path, "118", rate=250)
    with pytest.raises(ReadError, match=r"118.* 250 Hz"):
        read_dataset("mit-bih", tmp_path)
    (tmp_path / "118.hea").unlink()
    with pytest.raises(ReadError, match=r"118\.hea is missing"):
        read_dataset("mit-bih", tmp_path)


def test_truncated_signal(tmp_path: Path) -> None:
    for record in DS1 + DS2:
        write_record(tmp_path, record)
    data = (tmp_path / "101.dat").read_bytes()
    (tmp_path / "101.dat").write_bytes(data[:100])
    with pytest.raises(ReadError, match=r"101.*cannot be read"):
        read_dataset("mit-bih", tmp_path)


def test_without_wfdb(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: object, **kwargs: object) -> object:
        if name == "wfdb":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtraError, match=r"unseen\[ecg\]"):
        read_dataset("mit-bih", root)
