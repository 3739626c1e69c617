"""What every image detector keeps."""

from __future__ import annotations

import copy
import inspect

import numpy as np
import pytest
from PIL import Image

from unseen.data.images import read_images
from unseen.detectors.catalogue import DETECTORS, IMAGE_DETECTORS
from unseen.detectors.images import looking
from unseen.errors import InputError, LabelError, NotCalibratedError, NotFittedError, ParameterError
from unseen.metrics import auroc, pixel_auroc
from unseen.persistence import load, save
from unseen.persistence.hints import annotated

from .conftest import QUICK, averages, draw

METHODS = ("decision_function", "p_values", "predict", "predict_proba", "explain", "score_maps")


def test_the_suite_covers_the_catalogue():
    assert set(QUICK) == set(IMAGE_DETECTORS)
    assert not set(IMAGE_DETECTORS) & set(DETECTORS)


def test_the_constructor_only_stores(name):
    signature = inspect.signature(IMAGE_DETECTORS[name])
    markers = {key: object() for key in signature.parameters}
    assert {p.kind for p in signature.parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert vars(IMAGE_DETECTORS[name](**markers)) == markers


def test_fitted_attributes_are_the_annotated_ones(name, fitted):
    hints = {key for key in annotated(IMAGE_DETECTORS[name]) if key.endswith("_")}
    assert {key for key in vars(fitted) if key.endswith("_")} == hints


def test_defects_are_found_and_shown(fitted, fresh):
    scores, maps = fitted.score_and_explain(fresh.X)
    assert auroc(fresh.y, scores) > 0.9
    assert pixel_auroc(fresh.masks, maps) > 0.8
    assert maps.shape == (16, 32, 32)
    np.testing.assert_allclose(scores, fitted.decision_function(fresh.X), rtol=1e-6)
    np.testing.assert_array_equal(maps, fitted.score_maps(fresh.X))
    assert fitted.score_maps(fresh.X[:1], size=(20, 40)).shape == (1, 20, 40)


def test_batches_are_the_whole_in_parts(fitted, fresh):
    scores, maps = fitted.score_and_explain(fresh.X)
    batches = list(fitted.score_batches(fresh.X))
    np.testing.assert_array_equal(np.concatenate([batch.indices for batch in batches]), np.arange(16))
    np.testing.assert_array_equal(np.concatenate([batch.scores for batch in batches]), scores)
    np.testing.assert_array_equal(np.concatenate([batch.maps for batch in batches]), maps)
    assert next(fitted.score_batches(fresh.X, size=(20, 40))).maps.shape[1:] == (20, 40)


def test_anomalies_in_the_fit_are_not_remembered(make, train, fresh):
    if make().uses_labels:
        return
    with_them = make().fit(train.X, train.y).decision_function(fresh.X)
    without = make().fit(train.normals).decision_function(fresh.X)
    np.testing.assert_array_equal(with_them, without)


def test_p_values_leave_references_out(fitted, fresh):
    n = len(fitted.calibration_.normal_scores)
    assert n == 6
    assert fitted.smallest_p() == 1 / 7
    p = fitted.p_values(fresh.X)
    assert p.min() >= 1 / 7
    assert p.max() <= 1
    assert p[fresh.y == 1].mean() <= p[fresh.y == 0].mean()
    assert p[fresh.y == 1].mean() < 0.3
    flags = fitted.predict(fresh.X)
    np.testing.assert_array_equal(flags, fitted.decision_function(fresh.X) > fitted.threshold_)
    np.testing.assert_allclose(fitted.predict_proba(fresh.X).sum(axis=1), 1)


def test_p_values_of_normals_are_not_too_small(make):
    """Over many draws, at most about one normal in five falls below p = .2 with four references."""
    detector = make(calibration_folds=8).fit(draw(0, 4, 0).X, masks=[None] * 4)
    below = []
    for seed in range(100, 112):
        world = draw(seed, 8, 0)
        adapted = detector.adapt(world.X[:4], domains=["new"] * 4)
        below.append(adapted.p_values(world.X[4:], domains=["new"] * 4) <= 0.2)
    assert np.mean(below) <= 0.3


def test_held_back_normals_calibrate(make, train, fresh):
    detector = make(calibration_fraction=0.34).fit(train.X, train.y, masks=train.masks)
    assert detector.smallest_p() == 1 / 3
    detector = make(calibration_folds=0).fit(train.X, train.y, masks=train.masks)
    with pytest.raises(NotCalibratedError):
        detector.p_values(fresh.X)
    assert detector.calibrate(fresh.X, fresh.y).smallest_p() == 1 / 9


def test_adapt_compares_with_the_references_of_the_domain(fitted, fresh):
    darker = draw(3, 8, 8, level=20.0)
    before = copy.deepcopy(vars(fitted)["domain_memories_"])
    adapted = fitted.adapt(darker.normals[:4], domains=["dark"] * 4)
    dark = ["dark"] * 12
    scores = adapted.decision_function(darker.X[4:], domains=dark)
    assert auroc(darker.y[4:], scores) > 0.9
    assert scores[:4].mean() < fitted.decision_function(darker.X[4:8]).mean()
    assert adapted.smallest_p("dark") == 1 / 5
    assert fitted.domain_memories_ == before == {}
    np.testing.assert_array_equal(adapted.decision_function(fresh.X), fitted.decision_function(fresh.X))
    mixed = adapted.decision_function([darker.X[4], fresh.X[0]], domains=["dark", ""])
    np.testing.assert_allclose(mixed, [scores[0], fitted.decision_function(fresh.X[:1])[0]], rtol=1e-5)


def test_one_reference_scores_but_does_not_calibrate(fitted, fresh):
    adapted = fitted.adapt(fresh.normals[:1], domains=["one"])
    assert np.isfinite(adapted.decision_function(fresh.X[1:3], domains=["one"] * 2)).all()
    with pytest.raises(NotCalibratedError, match="at least two"):
        adapted.p_values(fresh.X[1:3], domains=["one"] * 2)
    adapted.calibrate(fresh.X[1:], fresh.y[1:], domains=["one"] * 15)
    assert adapted.smallest_p("one") == 1 / 8


def test_several_domains_are_remembered_apart(make, fresh):
    bright, dark = draw(4, 5, 0), draw(5, 5, 0, level=20.0)
    domains = ["bright"] * 5 + ["dark"] * 5
    detector = make().fit(bright.X + dark.X, domains=domains, masks=[None] * 10)
    assert sorted(detector.domain_memories_) == ["bright", "dark"]
    dark_as_bright = detector.decision_function(draw(6, 4, 0, level=20.0).X, domains=["bright"] * 4)
    dark_as_dark = detector.decision_function(draw(6, 4, 0, level=20.0).X, domains=["dark"] * 4)
    assert dark_as_dark.mean() < dark_as_bright.mean()


def test_a_loaded_detector_gives_the_same_bits(fitted, fresh, tmp_path):
    adapted = fitted.adapt(fresh.normals[:3], domains=["new"] * 3)
    loaded = load(save(adapted, tmp_path / "model"))
    domains = np.resize(["new", ""], len(fresh.X))
    for method in METHODS:
        expected = getattr(adapted, method)(fresh.X, domains=domains)
        np.testing.assert_array_equal(getattr(loaded, method)(fresh.X, domains=domains), expected)
    assert loaded.get_params() == adapted.get_params()
    again = loaded.adapt(fresh.normals[3:6], domains=["x"] * 3)
    expected = adapted.adapt(fresh.normals[3:6], domains=["x"] * 3)
    np.testing.assert_array_equal(
        again.decision_function(fresh.X, domains=["x"] * 16),
        expected.decision_function(fresh.X, domains=["x"] * 16),
    )


def test_the_same_seed_gives_the_same_scores(make, fitted, train, fresh):
    again = make().fit(train.X, train.y, masks=train.masks)
    np.testing.assert_array_equal(again.decision_function(fresh.X), fitted.decision_function(fresh.X))


def test_files_and_arrays_score_alike(make, train, tmp_path):
    folder = tmp_path / "part"
    for number, image in enumerate(train.X):
        place = folder / ("good" if train.y[number] == 0 else "dent")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number:02d}.png")
    images = read_images(folder)
    order = np.argsort([path.stem for path in map(images.path, range(len(images)))])
    images = images.take(order)
    of_files = make(cache_dir=str(tmp_path / "cache")).fit(images)
    of_arrays = make().fit(train.X, train.y)
    expected = of_arrays.decision_function(train.X)
    for _ in range(2):  # the second time from the cache
        np.testing.assert_allclose(of_files.decision_function(images), expected, rtol=1e-5, atol=1e-6)


def test_another_backbone_is_refused(fitted, fresh, monkeypatch):
    monkeypatch.setattr(looking, "_loaded", lambda name, device: averages(2.0))
    with pytest.raises(InputError, match="not those of the fit"):
        fitted.decision_function(fresh.X)


def test_bad_input_is_refused(make, fitted, train, fresh):
    with pytest.raises(NotFittedError):
        make().decision_function(fresh.X)
    with pytest.raises(InputError, match="at least one picture"):
        fitted.decision_function([])
    with pytest.raises(InputError, match="single picture"):
        fitted.decision_function(fresh.X[0])
    with pytest.raises(InputError, match="uint8"):
        fitted.decision_function(np.zeros((3, 5)))
    with pytest.raises(InputError, match="uint8"):
        fitted.decision_function([np.zeros((32, 32, 3))])
    with pytest.raises(LabelError, match="one value a row"):
        fitted.decision_function(fresh.X, domains=["a"])
    with pytest.raises(LabelError, match="one item a picture"):
        make().fit(train.X, train.y, masks=train.masks[:2])
    with pytest.raises(LabelError, match="normal pictures"):
        make().fit(train.X, np.ones(len(train.X), dtype=int))


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_size": 30},
        {"image_size": 0},
        {"strides": (4, 4)},
        {"strides": (5,)},
        {"pool": 2},
        {"top_share": 1.5},
        {"smoothing": -1.0},
        {"batch_size": 0},
        {"calibration_folds": -1},
        {"calibration_fraction": 1.0},
        {"false_alarm_rate": 0.0},
        {"seed": -1},
        {"device": "nowhere"},
        {"backbone": 3},
    ],
)
def test_bad_parameters_are_refused(make, train, wrong):
    with pytest.raises(ParameterError):
        make(**wrong).fit(train.X, train.y)
