"""Directions: coverage, hardness, growth."""

from collections import Counter

import numpy as np

from unseen.detectors.episodes import EpisodeSampler, grown
from unseen.references.pseudo_domains import pseudo_domains


def sampler(n_episodes=12, *, multi_directional=True, curriculum=True, seed=0):
    return EpisodeSampler(
        ["a", "b", "c", "d"],
        {"dos": 10, "probe": 10, "r2l": 3},
        n_episodes=n_episodes,
        domain_share=0.5,
        first_shots=2,
        multi_directional=multi_directional,
        curriculum=curriculum,
        generator=np.random.default_rng(seed),
    )


def test_numbers_of_kinds_and_shots_grow_to_all():
    source = sampler()
    drawn = [source.draw({}) for _ in range(12)]
    assert [e.number for e in drawn] == list(range(12))
    kinds, shots = [len(e.kinds) for e in drawn], [e.shots for e in drawn]
    assert kinds == sorted(kinds)
    assert shots == sorted(shots)
    assert (kinds[0], shots[0]) == (1, 2)
    assert (kinds[-1], shots[-1]) == (3, 10)


def test_every_kind_is_visited_in_each_cycle_however_easy_it_is():
    source = sampler(n_episodes=1000)
    first = [source.draw({"dos": 1.0, "probe": 0.0, "r2l": 0.0}).kinds for _ in range(300)]
    for start in range(0, 300, 3):
        assert {kind for kinds in first[start : start + 3] for kind in kinds} == {"dos", "probe", "r2l"}


def test_hard_kinds_come_first_in_a_cycle():
    source = sampler(n_episodes=10_000)
    drawn = [source.draw({"dos": 0.05, "probe": 0.05, "r2l": 1.0}).kinds[0] for _ in range(300)]
    assert Counter(drawn) == {"dos": 100, "probe": 100, "r2l": 100}
    assert Counter(drawn[::3])["r2l"] > 80


def test_many_pairings_of_domains_are_met():
    source = sampler(n_episodes=40)
    pairings = {source.draw({}).domains for _ in range(40)}
    assert len(pairings) == 6
    assert all(len(pairing) == 2 for pairing in pairings)


def test_one_direction_repeats_the_first_pairing():
    source = sampler(multi_directional=False)
    drawn = [source.draw({}) for _ in range(12)]
    assert len({(e.domains, e.kinds, e.shots) for e in drawn}) == 1
    assert len(drawn[0].kinds) == 2


def test_without_curriculum_all_kinds_and_shots_from_the_start():
    source = sampler(curriculum=False)
    assert all(len(e.kinds) == 3 and e.shots == 10 for e in (source.draw({}) for _ in range(12)))


def test_no_kinds_at_all():
    source = EpisodeSampler(
        ["a"],
        {},
        n_episodes=2,
        domain_share=0.1,
        first_shots=5,
        multi_directional=True,
        curriculum=True,
        generator=np.random.default_rng(0),
    )
    assert source.draw({}).kinds == ()
    assert source.draw({}).domains == ("a",)


def test_grown_reaches_both_ends():
    assert [grown(1, 4, p) for p in (0.0, 0.5, 1.0)] == [1, 3, 4]


def test_pseudo_domains_find_separate_clusters():
    draw = np.random.default_rng(0)
    rows = np.concatenate([draw.normal(size=(40, 2)), draw.normal(size=(40, 2)) + 50])
    names = pseudo_domains(rows, 2, np.random.default_rng(1))
    assert len(set(names[:40])) == len(set(names[40:])) == 1
    assert names[0] != names[-1]
    assert len(set(pseudo_domains(np.zeros((9, 2)), 4, np.random.default_rng(1)))) == 1
