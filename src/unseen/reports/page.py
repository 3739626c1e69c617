"""Puts the report together: one HTML page that needs nothing but itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from unseen.errors import ReadError
from unseen.evaluation import Results
from unseen.pipeline.staging import staged
from unseen.reports import findings, tables, wording
from unseen.reports.contamination import contaminant_source, contamination_table
from unseen.reports.entries import Entry, best_entry, kinds_of, make_entries
from unseen.reports.evidence import Digest, digests_of
from unseen.reports.figures.latent import latent_maps
from unseen.reports.figures.overview import overview
from unseen.reports.figures.p_values import uniformity
from unseen.reports.figures.ranking import MOST_BANDS, curves_of_kinds
from unseen.reports.figures.scores import score_histograms, stage_histograms
from unseen.reports.figures.trend import trends
from unseen.reports.galleries import galleries, is_of_pictures, pixel_tables
from unseen.reports.html import environment

REPORT = "report.html"
"""Name of the page, beside the results."""

_PARTS = "parts"
_MOST_DRAWN = 12
"""Kinds in figures; a page that draws hundreds takes minutes to make and is not looked through."""


@dataclass(frozen=True)
class EntryFigure:
    """A figure about one detector, with what there is to say about it."""

    entry: str
    svg: Markup
    remark: str = ""


def write_report(folder: Path | str, out: Path | str | None = None) -> Path:
    """Write the report of an evaluation from its results alone.

    Parameters
    ----------
    folder : Path or str
        Folder with ``results.json`` and, for the curves and histograms, ``parts/``.
    out : Path or str or None
        The page to write. None: ``report.html`` in ``folder``.

    Returns
    -------
    Path
        The page, written atomically.

    Raises
    ------
    ReadError
        If the results cannot be read, or hold no row.
    """
    folder = Path(folder)
    target = folder / REPORT if out is None else Path(out)
    html = render(Results.read(folder), folder / _PARTS)
    with staged(target) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return target


def render(results: Results, parts: Path) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    results : Results
        What was measured.
    parts : Path
        Folder with the scores; figures whose scores are missing are left out and the page says so.

    Returns
    -------
    str

    Raises
    ------
    ReadError
        If there is no row.
    """
    if not results.rows:
        raise ReadError("the results hold no row, so there is nothing to report; evaluate again.")
    entries = make_entries(results)
    digests = {entry.position: digests_of(entry, parts) for entry in entries}
    drift = [line for entry in entries if (line := tables.drift_line(entry, digests[entry.position]))]
    context = {
        **_texts(results, entries, drift),
        **_tables(results, entries, drift),
        **_figures(results, entries, digests),
        **_pictures(results, entries, parts),
    }
    templates = environment()
    templates.filters["printable"] = wording.printable
    return templates.get_template("report.html.j2").render(context)


def _texts(results: Results, entries: Sequence[Entry], drift: Sequence[tables.DriftLine]) -> dict[str, Any]:
    dataset, run = results.dataset, results.run
    name = dataset.get("name")
    files, seconds = dataset.get("files"), run.get("seconds")
    unit = "pictures" if is_of_pictures(results) else "rows"
    return {
        "title": wording.printable(name) if isinstance(name, str) and name else "Evaluation",
        "finished": run.get("finished"),
        "headline": findings.headline(entries, drift, unit),
        "caution": findings.caution(entries),
        "cost": findings.cost_of_being_unseen(entries, results),
        "tiles": findings.tiles(entries, drift, unit),
        "command": run.get("command"),
        "versions": _mapping(run.get("versions")),
        "unit": unit,
        "settings": _mapping(run.get("settings")),
        "detectors": _mapping(run.get("detectors")),
        "platform": run.get("platform"),
        "cores": run.get("cores"),
        "wall": wording.seconds(float(seconds)) if isinstance(seconds, (int, float)) else None,
        "dataset": dataset,
        "files": list(map(str, files)) if isinstance(files, list) else [],
        "notes": dataset.get("notes") or [],
        "protocol": _protocol(results),
    }


def _tables(results: Results, entries: Sequence[Entry], drift: Sequence[tables.DriftLine]) -> dict[str, Any]:
    unseen_kinds, known_kinds = kinds_of(results, "held-out"), kinds_of(results, "known")
    every = list(dict.fromkeys([*unseen_kinds, *known_kinds]))
    test_kinds = results.dataset.get("test_kinds")
    metrics = tables.DETAIL_METRICS + (tables.PICTURE_METRICS if is_of_pictures(results) else ())
    return {
        "entries": entries,
        "best": best_entry(entries),
        "held_out_lines": tables.auroc_lines(entries, unseen_kinds, "held-out"),
        "known_lines": tables.auroc_lines(entries, known_kinds, "known"),
        "detail_metrics": [name for _, name in metrics],
        "details": [(entry, tables.detail_lines(entry, every, metrics)) for entry in entries],
        "contamination": contamination_table(results),
        "drift": drift,
        "times": [tables.time_line(entry) for entry in entries],
        "kind_lines": tables.kind_lines(
            _mapping(results.dataset.get("kinds")), _mapping(test_kinds) if test_kinds else None
        ),
        "has_test_table": bool(test_kinds),
        "count": wording.count,
    }


def _figures(
    results: Results, entries: Sequence[Entry], digests: Mapping[int, Sequence[Digest]]
) -> dict[str, Any]:
    kinds = _hardest(entries, kinds_of(results, "held-out"), "held-out")
    known = _hardest(entries, kinds_of(results, "known"), "known")
    every = list(dict.fromkeys([*kinds, *known]))[:_MOST_DRAWN]
    rate = entries[0].rows[0].get("false_alarm_rate", 0.01)
    scored = any(digests.values())
    curves = [
        kind
        for kind in kinds
        if any(d.held_out_kind == kind and d.curves for ds in digests.values() for d in ds)
    ]
    histograms, stages, latents = [], [], []
    for entry in _best_first(entries):
        shown = [digest for digest in _one_seed(digests[entry.position], kinds) if _is_drawn(digest, kinds)]
        if shown and not all(digest.stages and digest.ends_in_stage2 for digest in shown):
            histograms.append(EntryFigure(entry.label, score_histograms(shown, f"scores-{entry.position}")))
        if shown and all(digest.stages for digest in shown):
            stages.append(EntryFigure(entry.label, stage_histograms(shown, f"stages-{entry.position}")))
        if shown and all(digest.latent for digest in shown):
            remark = _latent_remark(shown)
            latents.append(EntryFigure(entry.label, latent_maps(shown, f"latent-{entry.position}"), remark))
    return {
        "overview": overview(entries, every),
        "trends": trends(results),
        "curves": curves_of_kinds(entries, digests, curves, rate) if curves else None,
        "with_bands": len(entries) <= MOST_BANDS,
        "histograms": histograms,
        "stages": stages,
        "latents": latents,
        "uniformity": uniformity(entries, digests, rate) if scored else None,
        "has_scores": scored,
        "n_drawn": len(every),
        "n_kinds": len({*kinds_of(results, "held-out"), *kinds_of(results, "known")}),
    }


def _hardest(entries: Sequence[Entry], kinds: Sequence[str], role: str) -> list[str]:
    """The kinds to draw: all, or of many those that the best detector catches worst, in the order given."""
    if len(kinds) <= _MOST_DRAWN:
        return list(kinds)
    found = best_entry(entries).per_kind(role, "auroc")
    lowest = sorted(kinds, key=lambda kind: found[kind].mean if kind in found else math.inf)[:_MOST_DRAWN]
    return [kind for kind in kinds if kind in lowest]


def _is_drawn(digest: Digest, kinds: Sequence[str]) -> bool:
    return digest.held_out_kind is None or digest.held_out_kind in kinds


def _pictures(results: Results, entries: Sequence[Entry], parts: Path) -> dict[str, Any]:
    if not is_of_pictures(results):
        return {"of_pictures": False, "pixel_tables": [], "galleries": []}
    return {
        "of_pictures": True,
        "pixel_tables": pixel_tables(entries, kinds_of(results, "held-out")),
        "galleries": galleries(_best_first(entries), parts),
    }


def _latent_remark(digests: Sequence[Digest]) -> str:
    latent = digests[0].latent
    if latent is None or latent.n_latent <= 2:
        return ""
    share = wording.percent(latent.share)
    return f" Of {latent.n_latent} dimensions the first two principal components ({share} of the variance)."


def _best_first(entries: Sequence[Entry]) -> list[Entry]:
    best = best_entry(entries)
    return [best, *(entry for entry in entries if entry is not best)]


def _one_seed(digests: Sequence[Digest], kinds: Sequence[str]) -> list[Digest]:
    """The trials of the lowest seed, in the order of the kinds."""
    if not digests:
        return []
    seed = min(digest.seed for digest in digests)
    order = {kind: position for position, kind in enumerate(kinds)}
    chosen = [digest for digest in digests if digest.seed == seed]
    return sorted(chosen, key=lambda digest: order.get(digest.held_out_kind or "", len(order)))


def _protocol(results: Results) -> list[tuple[str, str]]:
    """What was held out, drawn and repeated, as pairs of name and value."""

    def values(name: str) -> str:
        found = sorted({row[name] for row in results.rows})  # type: ignore[literal-required]
        return ", ".join(f"{value:g}" for value in found)

    held_out = kinds_of(results, "held-out")
    pairs = [
        ("Kinds held out, one at a time", ", ".join(map(wording.printable, held_out)) or "none"),
        ("Labelled rows of each known kind", values("shots")),
        ("Seeds", values("seed")),
        ("References of each new domain", values("references")),
    ]
    sources = results.dataset.get("sources")
    if isinstance(sources, list):
        pairs.append(("Trained on", ", ".join(wording.printable(str(name)) for name in sources)))
    if any(row["contamination"] for row in results.rows):
        pairs.append(("Share of anomalies among the training normals", values("contamination")))
        source = contaminant_source(results.dataset.get("contaminants"))
        pairs.extend([("Where those anomalies come from", source)] if source else [])
    views = sorted({row["view"] for row in results.rows if "view" in row})
    if views:
        pairs.append(("View of the rows", ", ".join(views)))
    return pairs


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
