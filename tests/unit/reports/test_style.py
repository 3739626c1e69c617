from __future__ import annotations

from unseen.reports.figures.style import colour, dashes, marker, marker_of_round


def test_as_many_detectors_as_there_are_can_be_told_apart() -> None:
    for other in (dashes, marker, marker_of_round):
        looks = [(colour(position), str(other(position))) for position in range(32)]
        assert len(set(looks)) == 32


def test_neighbours_differ_without_colour() -> None:
    assert all(dashes(i) != dashes(i + 1) for i in range(7))
