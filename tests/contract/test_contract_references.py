"""References of new domains, for every detector and every view."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.detectors import DETECTORS
from unseen.references import VIEWS

SHIFT = 6.0


@pytest.fixture(scope="module", params=VIEWS)
def by_view(request, make, rows):
    """A detector fitted with each view, on rows of two named domains."""
    detector = make(view=request.param, n_references=6)
    return detector.fit(rows.X, rows.y, kinds=rows.kinds, domains=rows.domains)


def test_adapt_returns_another_object_and_leaves_this_one_alone(by_view, fresh):
    before = by_view.decision_function(fresh.X, domains=fresh.domains)
    explained = by_view.explain(fresh.X, domains=fresh.domains)
    adapted = by_view.adapt(fresh.normals[:10] + SHIFT, domains=["north"] * 10)
    assert adapted is not by_view
    assert type(adapted) is type(by_view)
    adapted.adapt(fresh.normals[:10] - SHIFT, domains=["north"] * 5 + ["east"] * 5)
    np.testing.assert_array_equal(by_view.decision_function(fresh.X, domains=fresh.domains), before)
    np.testing.assert_array_equal(by_view.explain(fresh.X, domains=fresh.domains), explained)


def test_adapt_keeps_parameters_and_calibration(by_view, fresh):
    adapted = by_view.adapt(fresh.normals[:10])
    assert adapted.get_params() == by_view.get_params()
    assert adapted.threshold_ == by_view.threshold_


def test_rows_of_other_domains_keep_their_scores(by_view, fresh):
    """Domains without references of their own fall back to the pooled normals, before and after."""
    adapted = by_view.adapt(fresh.normals[:10] + SHIFT, domains=["north"] * 10)
    for domain in ("", "nobody knows it", "east"):
        domains = [domain] * len(fresh.X)
        np.testing.assert_array_equal(
            adapted.decision_function(fresh.X, domains=domains),
            by_view.decision_function(fresh.X, domains=domains),
        )


def test_unknown_domains_score_as_no_domain(by_view, fresh):
    np.testing.assert_array_equal(
        by_view.decision_function(fresh.X, domains=["never seen"] * len(fresh.X)),
        by_view.decision_function(fresh.X),
    )


def test_rows_of_several_domains_at_once_score_as_each_alone(by_view, fresh):
    references = np.concatenate([fresh.normals[:8] + SHIFT, fresh.normals[8:16] - SHIFT])
    adapted = by_view.adapt(references, domains=["north"] * 8 + ["south"] * 8)
    domains = np.resize(["north", "south", "east", "elsewhere", ""], len(fresh.X))
    at_once = adapted.decision_function(fresh.X, domains=domains)
    explained = adapted.explain(fresh.X, domains=domains)
    for domain in np.unique(domains):
        mine = domains == domain
        alone = adapted.decision_function(fresh.X[mine], domains=domains[mine])
        np.testing.assert_allclose(at_once[mine], alone, rtol=1e-5)
        alone = adapted.explain(fresh.X[mine], domains=domains[mine])
        np.testing.assert_allclose(explained[mine], alone, rtol=1e-4, atol=1e-6)


def test_references_without_domains_serve_rows_without_domains(by_view, fresh):
    references = fresh.normals[:10] + SHIFT
    plain = by_view.adapt(references).decision_function(fresh.X)
    named = by_view.adapt(references, domains=["north"] * 10)
    np.testing.assert_allclose(
        plain, named.decision_function(fresh.X, domains=["north"] * len(fresh.X)), rtol=1e-6
    )


def test_later_references_of_a_domain_replace_earlier_ones(by_view, fresh):
    first, second = fresh.normals[:10] + SHIFT, fresh.normals[10:20] - SHIFT
    domains = ["north"] * 10
    twice = by_view.adapt(first, domains=domains).adapt(second, domains=domains)
    once = by_view.adapt(second, domains=domains)
    rows_of = ["north"] * len(fresh.X)
    np.testing.assert_array_equal(
        twice.decision_function(fresh.X, domains=rows_of), once.decision_function(fresh.X, domains=rows_of)
    )


def test_adapting_step_by_step_equals_adapting_at_once(by_view, fresh):
    north, south = fresh.normals[:8] + SHIFT, fresh.normals[8:16] - SHIFT
    steps = by_view.adapt(south, domains=["south"] * 8).adapt(north, domains=["north"] * 8)
    at_once = by_view.adapt(np.concatenate([north, south]), domains=["north"] * 8 + ["south"] * 8)
    domains = np.resize(["north", "south"], len(fresh.X))
    np.testing.assert_allclose(
        steps.decision_function(fresh.X, domains=domains),
        at_once.decision_function(fresh.X, domains=domains),
        rtol=1e-6,
    )


def test_one_reference_is_enough(by_view, fresh):
    adapted = by_view.adapt(fresh.normals[:1], domains=["north"])
    scores, explained = adapted.score_and_explain(fresh.X, domains=["north"] * len(fresh.X))
    assert np.isfinite(scores).all()
    assert np.isfinite(explained).all()


def test_references_make_a_shifted_normal_look_normal(by_view, fresh):
    """Wherever the detector says that it uses references, they must do what they are for."""
    shifted = fresh.normals + SHIFT
    adapted = by_view.adapt(shifted[:20], domains=["north"] * 20)
    domains = ["north"] * len(shifted[20:])
    before = by_view.decision_function(shifted[20:], domains=domains)
    after = adapted.decision_function(shifted[20:], domains=domains)
    if by_view.view == "raw" and "change nothing" in by_view.reference_use:
        np.testing.assert_array_equal(after, before)
    else:
        assert np.median(after) < np.median(before)


def test_what_is_done_with_references_is_said(name):
    assert len(DETECTORS[name].reference_use) > 20


def test_fit_needs_more_normals_than_references(make, rows):
    with pytest.raises(ValueError, match=r"n_references"):
        make(view="residual-centre", n_references=10_000).fit(rows.X, rows.y, domains=rows.domains)
