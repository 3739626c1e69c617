"""Leave-one-kind-out on small tables whose split can be told by hand."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.errors import LabelError, ParameterError
from unseen.protocols import Split, leave_one_kind_out
from unseen.protocols.drawing import domain_units, draw_units, share_of
from unseen.types import Labels


def _labels(
    counts: dict[str, int], domains: np.ndarray | None = None, groups: np.ndarray | None = None
) -> Labels:
    kinds = np.repeat(list(counts), list(counts.values()))
    y = np.where(kinds == "", -1, np.where(kinds == "normal", 0, 1)).astype(np.int8)
    return Labels(y, kinds, np.full(len(kinds), "") if domains is None else domains, groups)


def _two_files(kinds: list[str] | np.ndarray, domains: np.ndarray | None = None) -> tuple[Labels, np.ndarray]:
    one = np.asarray(kinds)
    both = np.r_[one, one]
    y = (both != "normal").astype(np.int8)
    names = np.full(len(both), "") if domains is None else domains
    return Labels(y, both, names), np.arange(len(both)) >= len(one)


def _ordered_domains(n_domains: int, per_domain: int) -> tuple[np.ndarray, np.ndarray]:
    """Each domain: normals, then one a, one b; returns kinds and domains."""
    kinds = np.tile(["normal"] * per_domain + ["a", "b"], n_domains)
    return kinds, np.repeat([f"d{i:02d}" for i in range(n_domains)], per_domain + 2)


def test_sizes_without_groups() -> None:
    labels = _labels({"normal": 1000, "a": 100, "b": 40, "": 7})
    splits = leave_one_kind_out(labels, shots=10, seeds=[3, 4])
    assert [(s.seed, s.held_out_kind, s.known_kinds) for s in splits] == [
        (3, "a", ("b",)),
        (3, "b", ("a",)),
        (4, "a", ("b",)),
        (4, "b", ("a",)),
    ]
    first = splits[0]
    # 300 normals tested, 140 of 700 held back: 42 for validation, 98 for calibration
    assert (len(first.train), len(first.calibration), np.sum(first.test_kind_codes == 0)) == (560, 98, 300)
    assert (len(first.labelled), len(first.validation)) == (7, 42 + 3)
    assert np.sum(labels.kinds[first.test] == "a") == 100
    assert np.sum(labels.kinds[first.test] == "b") == 30
    assert first.test_kinds == ("a", "b")
    assert first.normals_key == splits[1].normals_key != splits[2].normals_key


def test_a_kind_keeps_its_shots_and_fewer_are_part_of_more() -> None:
    labels = _labels({"normal": 200, "a": 50, "b": 50, "c": 50})
    by_kind = {s.held_out_kind: s for s in leave_one_kind_out(labels, shots=10, seeds=[0])}
    shots_c = [s.labelled[labels.kinds[s.labelled] == "c"] for k, s in by_kind.items() if k != "c"]
    np.testing.assert_array_equal(*shots_c)
    fewer = leave_one_kind_out(labels, shots=5, seeds=[0], held_out_kinds=["a"])[0]
    assert set(fewer.labelled) < set(by_kind["a"].labelled)
    np.testing.assert_array_equal(fewer.train, by_kind["a"].train)


def test_no_shots_leave_every_kind_unknown() -> None:
    (split,) = leave_one_kind_out(_labels({"normal": 50, "a": 5}), shots=0, seeds=[0])
    assert (split.held_out_kind, split.known_kinds, len(split.labelled)) == ("a", (), 0)
    assert len(split.test_of("a")) == 10


def test_one_shot_is_trained_on() -> None:
    split = leave_one_kind_out(_labels({"normal": 50, "a": 5, "b": 5}), shots=1, seeds=[0])[0]
    assert len(split.labelled) == 1


def test_max_normals_thins_held_back_rows_too() -> None:
    split = leave_one_kind_out(_labels({"normal": 1000, "a": 9}), shots=0, seeds=[0], max_normals=80)[0]
    assert (len(split.train), len(split.validation) + len(split.calibration)) == (80, 20)


def test_nothing_held_back() -> None:
    labels = _labels({"normal": 100, "a": 20, "b": 20})
    split = leave_one_kind_out(labels, shots=10, seeds=[0], calibration_fraction=0.0)[0]
    assert (len(split.train), len(split.calibration), len(split.validation)) == (70, 0, 3)


def test_official_test_file_is_the_test_set_and_nothing_else() -> None:
    kinds = ["normal"] * 60 + ["a"] * 20 + ["b"] * 3
    labels, test_rows = _two_files(kinds)
    for split in leave_one_kind_out(labels, shots=10, seeds=[0, 1], test_rows=test_rows):
        np.testing.assert_array_equal(split.test, np.flatnonzero(test_rows))
        assert (len(split.train), len(split.calibration)) == (48, 8)
        known = {"a": 7, "b": 2}[split.known_kinds[0]]
        assert len(split.labelled) == known


def test_kinds_of_the_test_file_alone_can_be_held_out() -> None:
    kinds = np.array(["normal"] * 20 + ["a"] * 6 + ["normal"] * 20 + ["a"] * 3 + ["new"] * 3)
    labels = Labels((kinds != "normal").astype(np.int8), kinds, np.full(52, ""))
    test_rows = np.arange(52) >= 26
    splits = leave_one_kind_out(labels, shots=4, seeds=[0], test_rows=test_rows)
    # with a held out the training file has nothing left to label
    assert [(s.held_out_kind, s.known_kinds) for s in splits] == [("new", ("a",))]
    with pytest.raises(LabelError, match="'a' held out no kind is left"):
        leave_one_kind_out(labels, shots=4, seeds=[0], test_rows=test_rows, held_out_kinds=["a"])


def test_whole_test_file_is_one_domain_with_drawn_references() -> None:
    labels, test_rows = _two_files(["normal"] * 60 + ["a"] * 20)
    none, some, again = (
        leave_one_kind_out(labels, shots=0, seeds=[seed], test_rows=test_rows, references=k)[0]
        for k, seed in ((0, 0), (16, 0), (16, 1))
    )
    np.testing.assert_array_equal(none.train, some.train)
    np.testing.assert_array_equal(np.union1d(some.references, some.test), none.test)
    assert len(some.references) == 16
    assert np.all(labels.y[some.references] == 0)
    assert not np.array_equal(some.references, again.references)
    first = leave_one_kind_out(
        labels, shots=0, seeds=[1], test_rows=test_rows, references=16, reference_order="first"
    )[0]
    np.testing.assert_array_equal(first.references, np.arange(80, 96))


def test_official_pair_with_domains_takes_the_first_normals_of_each() -> None:
    kinds, domains = _ordered_domains(10, 8)
    labels, test_rows = _two_files(kinds, np.r_[domains, np.char.add("t", domains)])
    split = leave_one_kind_out(labels, shots=4, seeds=[0], test_rows=test_rows, references=3)[0]
    starts = 100 + 10 * np.arange(10)
    np.testing.assert_array_equal(split.references, np.sort(np.r_[starts, starts + 1, starts + 2]))
    # 2 of 10 training domains are held back whole, 3 references and 5 other normals each
    held = np.unique(labels.domains[split.calibration])
    assert len(held) == 2
    assert len(split.calibration_references) == 6
    for domain in held:
        rows = np.flatnonzero(labels.domains == domain)
        np.testing.assert_array_equal(np.intersect1d(rows, split.calibration_references), rows[:3])
    normals_in_validation = split.validation[labels.y[split.validation] == 0]
    assert len(split.calibration) + len(normals_in_validation) == 10
    assert not np.isin(labels.domains[split.train], held).any()
    assert not np.isin(labels.domains[split.labelled], held).any()


def test_no_references_run_through_the_same_split() -> None:
    kinds, domains = _ordered_domains(10, 8)
    labels, test_rows = _two_files(kinds, np.r_[domains, np.char.add("t", domains)])
    zero, three = (
        leave_one_kind_out(labels, shots=4, seeds=[0], test_rows=test_rows, references=k)[0] for k in (0, 3)
    )
    np.testing.assert_array_equal(zero.train, three.train)
    np.testing.assert_array_equal(zero.labelled, three.labelled)
    assert len(zero.references) == len(zero.calibration_references) == 0


def test_domains_with_fewer_normals_give_all_they_have() -> None:
    kinds = np.array(["normal"] * 2 + ["a"] + ["normal"] * 9 + ["a"])
    domains = np.array(["p"] * 3 + ["q"] * 10)
    labels, test_rows = _two_files(kinds, np.r_[domains, domains])
    split = leave_one_kind_out(labels, shots=0, seeds=[0], test_rows=test_rows, references=5)[0]
    assert np.sum(labels.domains[split.references] == "p") == 2
    assert np.sum(labels.domains[split.references] == "q") == 5


def test_one_table_is_split_by_domain() -> None:
    kinds, domains = _ordered_domains(10, 8)
    labels = Labels((kinds != "normal").astype(np.int8), kinds, domains)
    split = leave_one_kind_out(labels, shots=4, seeds=[0], references=2)[0]
    assert len(np.unique(domains[split.test])) == 3
    assert len(split.references) == 6
    assert len(np.unique(domains[split.train])) == 6
    mixed = leave_one_kind_out(labels, shots=4, seeds=[0], domain_split=False)[0]
    assert len(np.unique(domains[mixed.test])) == 10


def test_new_domains_by_name() -> None:
    kinds, domains = _ordered_domains(6, 8)
    labels = Labels((kinds != "normal").astype(np.int8), kinds, domains)
    split = leave_one_kind_out(labels, shots=2, seeds=[0], new_domains=["d01", "d04"])[0]
    assert set(domains[split.test]) == {"d01", "d04"}


def test_contaminants_replace_normals_and_leave_the_test_set() -> None:
    labels = _labels({"normal": 1000, "a": 400, "b": 400})
    clean = leave_one_kind_out(labels, shots=10, seeds=[0], held_out_kinds=["a"])[0]
    low, high = (
        leave_one_kind_out(
            labels, shots=10, seeds=[0], held_out_kinds=["a"], contamination=share, contaminants="known"
        )[0]
        for share in (0.05, 0.2)
    )
    assert len(low.train) == len(high.train) == len(clean.train) == 560
    assert (len(low.contaminants), len(high.contaminants)) == (28, 112)
    assert set(low.contaminants) < set(high.contaminants)
    assert set(labels.kinds[high.contaminants]) == {"b"}
    np.testing.assert_array_equal(np.union1d(high.test, high.contaminants), clean.test)
    np.testing.assert_array_equal(high.calibration, clean.calibration)
    told = high.fit_labels(labels)
    assert np.sum(told.y == 0) == 560
    assert np.sum(told.y == 1) == len(high.labelled)
    assert set(told.kinds[told.y == 0]) == {"normal"}
    np.testing.assert_array_equal(high.fit_rows[told.y == 1], high.labelled)


def test_contaminants_of_the_held_out_kind_on_request() -> None:
    labels = _labels({"normal": 1000, "a": 400, "b": 400})
    asked = leave_one_kind_out(
        labels, shots=10, seeds=[0], held_out_kinds=["a"], contamination=0.1, contaminants="held-out"
    )[0]
    assert set(labels.kinds[asked.contaminants]) == {"a"}
    assert len(asked.contaminants) == 56
    assert np.sum(labels.kinds[asked.test] == "a") == 400 - 56


@pytest.mark.parametrize("official", [False, True])
def test_contaminants_of_all_kinds_are_the_default_and_shared(official: bool) -> None:
    labels, test_rows = _two_files(["normal"] * 500 + ["a"] * 200 + ["b"] * 100)
    first, second = leave_one_kind_out(
        labels, shots=10, seeds=[0], contamination=0.1, test_rows=test_rows if official else None
    )
    for split in (first, second):
        assert set(labels.kinds[split.contaminants]) == {"a", "b"}
        assert split.held_out_kind not in set(labels.kinds[split.labelled])
        assert split.held_out_kind not in set(labels.kinds[split.validation])
        assert not np.isin(split.contaminants, split.test).any()
        assert not np.isin(split.contaminants, np.r_[split.labelled, split.validation]).any()
        assert np.all(split.fit_labels(labels).y[np.isin(split.fit_rows, split.contaminants)] == 0)
    np.testing.assert_array_equal(first.contaminants, second.contaminants)
    assert first.normals_key == second.normals_key


def test_contaminants_of_a_test_pair_come_from_the_training_file_first() -> None:
    labels, test_rows = _two_files(["normal"] * 100 + ["a"] * 30 + ["b"] * 30)
    few = leave_one_kind_out(
        labels,
        shots=10,
        seeds=[0],
        held_out_kinds=["a"],
        test_rows=test_rows,
        contamination=0.1,
        contaminants="known",
    )[0]
    assert not test_rows[few.contaminants].any()
    many = leave_one_kind_out(
        labels,
        shots=10,
        seeds=[0],
        held_out_kinds=["a"],
        test_rows=test_rows,
        contamination=0.3,
        contaminants="known",
    )[0]
    assert np.sum(~test_rows[many.contaminants]) == 20
    assert np.sum(test_rows[many.contaminants]) == 4
    assert np.sum(labels.kinds[many.test] == "b") == 26


def test_groups_of_the_held_out_kind_are_not_spent_on_shots() -> None:
    kinds = np.array(["normal"] * 30 + ["a"] * 6 + ["b", "a"] * 2)
    groups = np.r_[np.full(36, ""), ["g", "g", "h", "h"]]
    labels = Labels((kinds != "normal").astype(np.int8), kinds, np.full(40, ""), groups)
    for seed in range(8):
        split = leave_one_kind_out(labels, shots=6, seeds=[seed], held_out_kinds=["b"])[0]
        assert {36, 38} <= set(split.test)
        assert not np.isin([37, 39], split.labelled).any()


def test_units_join_domains_through_groups() -> None:
    domains = np.array(["p", "p", "q", "r", "", ""])
    groups = np.array(["x", "y", "y", "z", "z", ""])
    units = domain_units(domains, groups)
    assert units[0] == units[1] == units[2]
    assert units[3] == units[4]
    assert len(set(units.tolist())) == 3


def test_drawn_units_spread_over_rare_kinds() -> None:
    # 12 domains, 4 of them with the rare kind: any draw of a quarter holds exactly one of those
    units = np.repeat(np.arange(12), 3)
    codes = np.zeros(36, dtype=np.int16)
    codes[2::9] = 1
    for seed in range(20):
        drawn = draw_units(
            units,
            codes,
            np.ones(36, bool),
            normal_share=0.25,
            anomaly_share=0.5,
            rng=np.random.default_rng(seed),
        )
        assert len(np.unique(units[drawn])) == 3
        assert len(np.unique(units[drawn & np.isin(units, units[codes == 1])])) == 1


@pytest.mark.parametrize(
    ("n", "share", "expected"),
    [(10, 0.0, 0), (1, 0.5, 0), (2, 0.01, 1), (2, 0.99, 1), (10, 0.25, 3), (10, 0.3, 3)],
)
def test_share_of(n: int, share: float, expected: int) -> None:
    assert share_of(n, share) == expected


def test_balanced_rows_stay_the_same_when_other_kinds_change() -> None:
    labels = _labels({"normal": 500, "a": 20, "b": 30})
    one, other = leave_one_kind_out(labels, shots=0, seeds=[0])
    np.testing.assert_array_equal(one.test_of("a"), other.test_of("a"))
    assert one.held_out_kind != other.held_out_kind


def test_splits_compare_by_identity_and_are_frozen() -> None:
    split = leave_one_kind_out(_labels({"normal": 50, "a": 5}), shots=0, seeds=[0])[0]
    assert isinstance(split, Split)
    with pytest.raises(AttributeError):
        split.seed = 1  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        split.train[0] = 0


PLAIN = {"normal": 50, "a": 5, "b": 5}


@pytest.mark.parametrize(
    ("counts", "arguments", "words"),
    [
        ({"a": 5, "b": 5}, {}, "needs normal rows"),
        ({"normal": 50}, {}, "needs anomalies"),
        ({"normal": 50, "a": 5}, {}, "no kind is left to label; use shots=0"),
        (PLAIN, {"held_out_kinds": ["c"]}, "'c' is not in the table; it has 'a', 'b'"),
        ({"normal": 1, "a": 5}, {"shots": 0}, "1 normal rows are too few"),
        ({"normal": 2, "a": 5}, {"shots": 0}, "no normals can be held back"),
        (PLAIN, {"references": 15}, "15 references a domain leave no normal"),
        (PLAIN, {"contamination": 0.5}, "but only"),
        (PLAIN, {"domain_split": True}, "2 named domains"),
        (PLAIN, {"new_domains": ["x"]}, "no normal row has the domain 'x'"),
        (PLAIN, {"test_rows": np.zeros(60, bool)}, "the test file has no normal rows"),
        (PLAIN, {"test_rows": np.ones(60, bool)}, "the training file has no normal rows"),
        (PLAIN, {"test_rows": np.arange(60) < 9}, "the test file has no anomalies"),
        (PLAIN, {"test_rows": np.ones(3, bool)}, "one bool a row"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(counts, arguments, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LabelError, match=words) as caught:
        leave_one_kind_out(_labels(counts), **{"shots": 4, "seeds": [0], **arguments})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"shots": -1},
        {"seeds": [-1]},
        {"max_normals": 0},
        {"contamination": 0.6},
        {"contaminants": "some"},
        {"references": -1},
        {"reference_order": "last"},
        {"validation_fraction": 1.0},
        {"calibration_fraction": -0.1},
        {"test_fraction": 0.0},
        {"new_domains": "d01"},
        {"new_domains": ["d01"], "domain_split": False},
    ],
)
def test_arguments_are_checked(arguments) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ParameterError, match="leave_one_kind_out"):
        leave_one_kind_out(_labels(PLAIN), **{"shots": 2, "seeds": [0], **arguments})
