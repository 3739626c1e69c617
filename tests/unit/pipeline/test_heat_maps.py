"""Scale, colours and overlays of score maps."""

from __future__ import annotations

import numpy as np

from unseen.pipeline.heat_maps import MapScale, fitted_size, heat_map, overlay, resize_levels


def test_peaks_of_normals_end_in_the_middle_of_the_scale() -> None:
    maps = np.full((10, 8, 8), 2.0, dtype=np.float32)
    maps[:, 0, 0] = 5.0
    scale = MapScale.from_normals(maps)
    assert (scale.low, scale.high) == (2.0, 8.0)
    values = np.array([[1.0, 2.0], [5.0, 9.0]], dtype=np.float32)
    np.testing.assert_allclose(scale.levels(values), [[0, 0], [0.5, 1]])


def test_flat_maps_have_a_scale_too() -> None:
    scale = MapScale.from_normals(np.zeros((2, 4, 4), dtype=np.float32))
    assert scale.high > scale.low
    assert np.isfinite(scale.levels(np.ones((4, 4), dtype=np.float32))).all()


def test_colours_get_brighter() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None]
    light = heat_map(ramp).astype(int) @ np.array([299, 587, 114])
    assert (np.diff(light[0]) >= 0).all()
    assert light[0, -1] > 5 * light[0, 0]


def test_an_overlay_shows_the_picture_where_nothing_is_unusual() -> None:
    image = np.full((4, 4, 3), 120, dtype=np.uint8)
    levels = np.zeros((4, 4), dtype=np.float32)
    levels[0, 0] = 1.0
    laid = overlay(image, levels)
    np.testing.assert_array_equal(laid[1:], image[1:])
    assert laid[0, 0, 0] > 180


def test_sizes_keep_proportions() -> None:
    assert fitted_size(1000, 500, 512) == (512, 256)
    assert fitted_size(100, 50, 512) == (100, 50)
    assert fitted_size(5000, 1, 512) == (512, 1)
    assert resize_levels(np.ones((4, 4), dtype=np.float32), (7, 3)).shape == (7, 3)
