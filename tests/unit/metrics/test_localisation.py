"""Pixel figures against references written as the definitions read."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import precision_recall_curve, roc_auc_score

from unseen.errors import InputError, LabelError, ParameterError
from unseen.metrics import LocalisationMeter, localisation, pixel_auroc, pixel_f1_max, pro
from unseen.metrics.localisation import region_weights

LIMIT = 0.3


def material(
    seed: int, n: int = 6, size: int = 28, decimals: int | None = None
) -> tuple[list[NDArray[np.bool_]], list[NDArray[np.float32]]]:
    rng = np.random.default_rng(seed)
    masks, maps = [], []
    for number in range(n):
        mask = np.zeros((size, size), dtype=np.bool_)
        for _ in range(0 if number == 0 else rng.integers(1, 4)):
            row, column = rng.integers(0, size - 6, 2)
            mask[row : row + rng.integers(1, 7), column : column + rng.integers(1, 7)] = True
        scores = rng.normal(size=(size, size)) + mask * rng.uniform(0, 2)
        maps.append((scores if decimals is None else scores.round(decimals)).astype(np.float32))
        masks.append(mask)
    return masks, maps


def plain_pro(masks: list[NDArray[np.bool_]], maps: list[NDArray[np.float32]], limit: float = LIMIT) -> float:
    """Every distinct score is a threshold; at each, every region and every normal pixel is looked at."""
    scores = np.stack(maps)
    normal = ~np.stack(masks)
    regions = []
    for number, mask in enumerate(masks):
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [(number, labels == region) for region in range(1, count + 1)]
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(scores)[::-1]:
        flagged = scores >= threshold
        rates.append(float(flagged[normal].mean()))
        overlaps.append(float(np.mean([flagged[number][region].mean() for number, region in regions])))
    at_limit = np.interp(limit, rates, overlaps)
    kept = np.array(rates) <= limit
    return float(
        np.trapezoid(np.append(np.array(overlaps)[kept], at_limit), np.append(np.array(rates)[kept], limit))
        / limit
    )


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_pro_equals_the_plain_reference(decimals: int | None, limit: float) -> None:
    masks, maps = material(3, decimals=decimals)
    assert pro(masks, maps, max_false_positive_rate=limit) == pytest.approx(
        plain_pro(masks, maps, limit), abs=1e-9
    )


@pytest.mark.parametrize("decimals", [None, 1])
def test_auroc_and_f1_equal_those_of_scikit_learn(decimals: int | None) -> None:
    masks, maps = material(4, decimals=decimals)
    y, scores = np.stack(masks).ravel(), np.stack(maps).ravel()
    assert pixel_auroc(masks, maps) == pytest.approx(roc_auc_score(y, scores), abs=1e-12)
    precision, recall, _ = precision_recall_curve(y, scores)
    best = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    f1, threshold = pixel_f1_max(masks, maps)
    assert f1 == pytest.approx(best, abs=1e-12)
    flagged = scores > threshold
    hits = np.sum(flagged & y)
    assert 2 * hits / (flagged.sum() + y.sum()) == pytest.approx(f1, abs=1e-12)


def test_a_perfect_map_a_useless_one_and_a_constant_one() -> None:
    masks, _ = material(5)
    perfect = localisation(masks, [mask.astype(np.float32) for mask in masks])
    assert perfect[:2] == (1.0, 1.0)
    assert perfect.pro == pytest.approx(1.0)
    assert localisation(masks, [-mask.astype(np.float32) for mask in masks]).pro == 0.0
    constant = localisation(masks, [np.zeros(mask.shape, dtype=np.float32) for mask in masks])
    assert constant.auroc == 0.5
    assert constant.pro == pytest.approx(LIMIT / 2)


def test_small_regions_count_as_much_as_large_ones() -> None:
    mask = np.zeros((20, 20), dtype=np.bool_)
    mask[2:4, 2:4] = True
    mask[8:18, 8:18] = True
    only_small = np.zeros((20, 20), dtype=np.float32)
    only_small[2:4, 2:4] = 1
    only_large = np.zeros((20, 20), dtype=np.float32)
    only_large[8:18, 8:18] = 1
    assert pro([mask], [only_small]) == pytest.approx(pro([mask], [only_large]))


def test_regions_touch_over_corners() -> None:
    mask = np.eye(5, dtype=np.bool_)
    mask[0, 4] = True
    weights, n_regions = region_weights(mask)
    assert n_regions == 2
    assert np.allclose(weights, [0.2, 1.0, 0.2, 0.2, 0.2, 0.2])


def test_by_kind_is_each_kind_with_the_normal_pictures() -> None:
    masks, maps = material(6, n=7)
    kinds = ["normal", "bent", "bent", "bent", "cut", "cut", "cut"]
    meter = LocalisationMeter()
    for mask, scores, kind in zip(masks, maps, kinds, strict=True):
        meter.add(mask, scores, kind)
    by_kind = meter.by_kind()
    assert sorted(by_kind) == ["bent", "cut"]
    assert by_kind["cut"] == localisation(masks[:1] + masks[4:], maps[:1] + maps[4:])
    assert meter.overall() == localisation(masks, maps)


def test_pictures_may_be_added_after_a_first_look() -> None:
    masks, maps = material(7)
    meter = LocalisationMeter()
    for mask, scores in zip(masks[:4], maps[:4], strict=True):
        meter.add(mask, scores)
    assert meter.overall() == localisation(masks[:4], maps[:4])
    for mask, scores in zip(masks[4:], maps[4:], strict=True):
        meter.add(mask, scores)
    assert meter.overall() == localisation(masks, maps)


def test_counting_comes_close_and_is_exact_on_coarse_scores() -> None:
    masks, maps = material(8, n=12, size=40)
    exact, counted = localisation(masks, maps), localisation(masks, maps, bins=2**20)
    for name in ("auroc", "f1", "pro"):
        assert getattr(counted, name) == pytest.approx(getattr(exact, name), abs=2e-4)
    coarse = [(scores * 4).round() / 4 for scores in maps]
    exact, counted = localisation(masks, coarse), localisation(masks, coarse, bins=2**16)
    assert counted.auroc == pytest.approx(exact.auroc, abs=1e-12)
    assert counted.pro == pytest.approx(exact.pro, abs=1e-12)
    assert counted.f1 == pytest.approx(exact.f1, abs=1e-12)


def test_maps_of_different_sizes_and_double_precision() -> None:
    masks, maps = material(9)
    small = np.zeros((5, 9), dtype=np.bool_)
    result = localisation([*masks, small], [*(m.astype(np.float64) for m in maps), np.zeros((5, 9))])
    assert result.n_images == 7
    assert 0 < result.pro < 1


def test_bad_input_is_refused() -> None:
    masks, maps = material(1)
    with pytest.raises(InputError, match="one mask a score map"):
        pro(masks, maps[:-1])
    with pytest.raises(InputError, match="must be boolean"):
        pro([mask.astype(int) for mask in masks], maps)
    with pytest.raises(InputError, match="one shape"):
        pro(masks, [scores[:5] for scores in maps])
    with pytest.raises(InputError, match="NaN"):
        pro(masks, [scores * np.nan for scores in maps])
    with pytest.raises(LabelError, match="no picture has a defect"):
        pro([np.zeros_like(mask) for mask in masks], maps)
    with pytest.raises(LabelError, match="no pixel is normal"):
        pro([np.ones_like(mask) for mask in masks], maps)
    with pytest.raises(ParameterError, match="power of two"):
        localisation(masks, maps, bins=1000)
    with pytest.raises(ParameterError, match="max_false_positive_rate"):
        pro(masks, maps, max_false_positive_rate=0.0)
