"""Turned references are used where they explain the references themselves, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.nn.patches.turns import left_out_ratio, turns_help, useful_looks


def looks(turned_parts: bool, n: int = 4, seed: int = 0) -> np.ndarray:
    """V of pictures whose patches repeat each other's, as they are or only in a turned copy."""
    random = np.random.default_rng(seed)
    views = random.normal(size=(4, 6, 5, 5))
    V = np.ones((n, 4, 8, 5, 5), dtype=np.float32)
    for picture in range(n):
        for look in range(4):
            V[picture, look, :-2] = views[(picture + look) % 4 if turned_parts else look]
    V[:, :, :-2] += random.normal(0, 0.05, V[:, :, :-2].shape)
    return V


def test_turns_help_parts_at_any_angle_and_not_those_that_lie_alike():
    assert turns_help(looks(turned_parts=True), 0.0)
    assert not turns_help(looks(turned_parts=False), 0.0)


def test_the_ratio_is_that_of_left_out_scores():
    V = looks(turned_parts=True, n=2)
    rows = np.moveaxis(V[:, :, :-2], 2, -1).reshape(2, 4, 25, 6)
    unit = rows / np.linalg.norm(rows, axis=-1, keepdims=True)

    def score(asked: np.ndarray, bank: np.ndarray) -> float:
        return float((1 - (asked @ bank.reshape(-1, 6).T).max(axis=1)).max())  # 1 % of 25 patches is one

    plain = score(unit[0, 0], unit[1, 0]) + score(unit[1, 0], unit[0, 0])
    turned = score(unit[0, 0], unit[1]) + score(unit[1, 0], unit[0])
    assert left_out_ratio(V, 0.0) == pytest.approx(turned / plain, rel=1e-3)


def test_a_single_reference_or_look_says_nothing():
    assert not turns_help(looks(turned_parts=True)[:1], 0.0)
    assert not turns_help(looks(turned_parts=True)[:, :1], 0.0)


def test_patches_of_the_ground_are_not_asked():
    V = looks(turned_parts=True)
    V[:, :, -2] = 0.0
    V[:, :, -2, :, 0] = 1.0
    for picture in range(len(V)):  # the part looks the same in all looks; only the ground turns
        V[picture, :, :-2, :, 0] = V[0, 0, :-2, :, 0]
    assert turns_help(V, 0.0)
    assert not turns_help(V, 0.5)


@pytest.mark.parametrize("turned", [True, False], ids=["any-angle", "alike"])
def test_auto_keeps_or_drops_all_turned_copies(turned):
    V = looks(turned_parts=turned)
    assert useful_looks(V, "auto", 0.0).shape[1] == (4 if turned else 1)
    assert useful_looks(V, 4, 0.0) is V
