"""``unseen fit``: known normals and a few known kinds in, a model out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.cli import options
from unseen.cli.console import print_json, say, waiting

if TYPE_CHECKING:
    from unseen.data import Table
    from unseen.detectors import BaseDetector
    from unseen.pipeline import FitSummary, TableModel


_MOST_KINDS = 12
_OF_TABLES = (
    "kind_column", "normal", "label_column", "domain_column", "group_column", "ignore", "categorical",
    "encoding", "view", "n_references", "estimate",
)  # fmt: skip
_OF_PICTURES = ("references", "image_size", "layout")


def fit(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Table file, folder or glob; or a folder of pictures.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model directory to write.")],
    kind_column: options.KindColumn = None,
    normal: options.Normal = "normal",
    label_column: options.LabelColumn = None,
    domain_column: options.DomainColumn = None,
    group_column: options.GroupColumn = None,
    ignore: options.Ignore = "",
    categorical: options.Categorical = "",
    encoding: options.Encoding = "utf-8",
    detector: Annotated[
        str | None, typer.Option("--detector", "-d", help="See `unseen detectors`; a good one by default.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, a parameter of the detector; repeatable.")
    ] = None,
    view: Annotated[
        str, typer.Option("--view", help="raw, residual-centre, scaled-centre, residual-nearest or auto.")
    ] = "raw",
    n_references: options.NReferences = 8,
    false_alarm_rate: options.FalseAlarmRate = 0.01,
    calibration_fraction: Annotated[
        float, typer.Option("--calibration-fraction", help="Share held back for p-values (pictures: none).")
    ] = 0.2,
    seed: options.Seed = 0,
    estimate: Annotated[
        bool,
        typer.Option("--estimate/--no-estimate", help="Leave known kinds out in turn to estimate recall."),
    ] = True,
    suspects: Annotated[
        Path | None,
        typer.Option(
            "--suspects",
            help="Write the normals to look at first to a .csv or .parquet (and pictures to a page).",
        ),
    ] = None,
    references: Annotated[
        int | None, typer.Option("--references", min=1, help="Pictures: so many good ones of each category.")
    ] = None,
    image_size: options.ImageSize = 256,
    layout: options.Layout = None,
    as_json: options.AsJson = False,
) -> None:
    """Learn what is normal (and from labelled anomalies where the method can) and write a model."""
    from unseen.cli.detector_options import build_detector, check_view
    from unseen.data import read_table
    from unseen.persistence import check_place, save
    from unseen.pipeline import DEFAULT_DETECTOR, holds_pictures
    from unseen.pipeline.score_writer import check_output_name, refuse_own_input

    if suspects is not None:
        check_output_name(suspects)
        refuse_own_input(suspects, file)
    check_place(out)
    if holds_pictures(file):
        from unseen.cli.image_commands import fit_folder

        options.refuse_given(context, _OF_TABLES, f"{file} holds pictures")
        held_back = options.given(context, "calibration_fraction")
        fit_folder(
            file, out, layout=layout, detector=detector, settings=settings or (), references=references,
            suspects=suspects, as_json=as_json, image_size=image_size, false_alarm_rate=false_alarm_rate,
            calibration_fraction=calibration_fraction if held_back else 0.0, seed=seed,
        )  # fmt: skip
        return
    options.refuse_given(context, _OF_PICTURES, f"{file} is no folder of pictures")
    check_view(view, domain_column)
    roles = options.column_roles(
        kind=kind_column,
        normal=normal,
        label=label_column,
        domain=domain_column,
        group=group_column,
        ignore=ignore,
        categorical=categorical,
    )
    unfitted = build_detector(
        detector or DEFAULT_DETECTOR,
        settings or (),
        view="raw" if view == "auto" else view,
        n_references=n_references,
        false_alarm_rate=false_alarm_rate,
        calibration_fraction=calibration_fraction,
        seed=seed,
    )
    table = read_table(file, roles, encoding=encoding)
    say(f"read {file}: {len(table):,} rows, {len(table.schema)} columns", quiet=as_json)
    if view == "auto":
        unfitted = _with_chosen_view(unfitted, table, quiet=as_json)
    model = fit_and_estimate(table, unfitted, estimate=estimate)
    if estimate or suspects is not None:
        note_suspects(model, table, suspects)
    save(model, out)
    if as_json:
        print_json({"model": str(out), **model.summary.to_json()})
        return
    for line in describe(model.summary, estimated=estimate):
        say(line)
    if suspects is not None and model.summary.suspects is not None:
        say(f"wrote {suspects}: training rows to look at first")
    say(f"wrote {out}; next: unseen score {out} FILE --out scores.parquet")


def fit_and_estimate(table: Table, detector: BaseDetector, *, estimate: bool) -> TableModel:
    """Fit a model and add the estimate for unlabelled kinds to its summary.

    Parameters
    ----------
    table : Table
        Training rows.
    detector : BaseDetector
        Unfitted.
    estimate : bool
        Whether to estimate (only where there are enough known kinds).

    Returns
    -------
    TableModel
    """
    from dataclasses import replace

    from unseen.detectors import BaseDetector
    from unseen.pipeline import TableModel
    from unseen.pipeline.estimate import estimate_unlabelled_kinds

    with waiting("fitting"):
        model = TableModel.fit(table, detector)
    if estimate:
        needed = detector.view != "raw"
        wanted = type(detector).reference_use != BaseDetector.reference_use
        with waiting("estimating how kinds without labels will be caught"):
            found = estimate_unlabelled_kinds(
                table,
                detector,
                n_references=detector.n_references if needed else 0,
                optional_references=detector.n_references if wanted and not needed else 0,
            )
        if found is not None:
            model.summary = replace(model.summary, estimate=found.to_json())
    return model


def note_suspects(model: TableModel, table: Table, file: Path | None) -> None:
    """Add to a model's summary how many of its training rows look anomalous, and list them in a file.

    Parameters
    ----------
    model : TableModel
        Fitted; its summary is replaced.
    table : Table
        Training rows.
    file : Path or None
        Where the list goes; the rows believed to be anomalous, and at least the first 100. None: nowhere, and
        at most 5 000 rows are checked.
    """
    from dataclasses import replace

    from unseen.errors import LabelError
    from unseen.pipeline.suspects import find_suspects

    with waiting("looking for anomalies among the rows"):
        found = find_suspects(table, max_rows=5_000 if file is None else None, seed=model.detector.seed)
    if found is None:
        if file is not None:
            raise LabelError("--suspects needs at least 20 rows taken for normal, in 2 groups or more.")
        return
    model.summary = replace(model.summary, suspects=found.to_json())
    if file is not None:
        found.write(file, max(found.n_believed, 100))


def describe(summary: FitSummary, *, estimated: bool = True) -> list[str]:
    """Return what a fit was made from and what it promises, as lines of prose.

    Parameters
    ----------
    summary : FitSummary
        Of the fitted model.
    estimated : bool
        Whether an estimate for unlabelled kinds was asked for; if there is none, it is said why.

    Returns
    -------
    list of str
    """
    from unseen.pipeline.estimate import estimate_sentence, kind_sentences, references_sentence
    from unseen.pipeline.suspects import suspects_sentence

    lines = [
        f"fitted {summary.detector} in {summary.seconds:.1f} s on {summary.n_normals:,} normals "
        f"({summary.n_columns} columns, {summary.n_features} features)",
        f"known kinds: {_listed_kinds(summary.kinds)}"
        + (f"; unlabelled rows: {summary.n_unlabelled:,}" if summary.n_unlabelled else ""),
    ]
    if summary.domains:
        lines.append(f"domains: {len(summary.domains):,}")
    lines += _calibration_lines(summary)
    if summary.estimate is not None:
        lines.append(estimate_sentence(summary.estimate))
        lines += [f"  {line}" for line in kind_sentences(summary.estimate)]
        if (adapted := references_sentence(summary.estimate)) is not None:
            lines.append(adapted)
    elif estimated:
        lines.append(
            "no estimate for unlabelled kinds: it needs at least two known kinds to leave out in turn, "
            "with two rows or more each, and 20 normals"
        )
    if summary.suspects is not None:
        lines.append(suspects_sentence(summary.suspects))
    return [*lines, *(f"note: {note}" for note in summary.notes)]


def _listed_kinds(kinds: Mapping[str, int]) -> str:
    """Name the most frequent kinds with their rows, and say how many more there are."""
    names = list(kinds) if len(kinds) <= _MOST_KINDS else sorted(kinds, key=lambda name: -kinds[name])
    shown = [f"{name} {kinds[name]:,}" for name in names[:_MOST_KINDS]]
    more = [f"and {len(names) - _MOST_KINDS:,} more"] if len(names) > _MOST_KINDS else []
    return ", ".join(shown + more) or "none"


def _calibration_lines(summary: FitSummary) -> list[str]:
    rate = f"{summary.guaranteed_false_alarm_rate:.3g}"
    if summary.n_calibration_domains:
        return [
            f"threshold {summary.threshold:.6g}: aims at {summary.false_alarm_rate:g} of the normals of a "
            f"new domain; what {summary.n_calibration_domains} domains can promise is at most {rate}",
            f"p-values compare with the normals of {summary.n_calibration_domains} domains, each left out of "
            f"a fit or held back; the smallest is {summary.smallest_p:.2g}",
            *_lines_on_known_domains(summary),
        ]
    return [
        f"threshold {summary.threshold:.6g}: at most {rate} of fresh normals are flagged",
        f"p-values compare with {summary.n_calibration:,} normals held back; the smallest is "
        f"{summary.smallest_p:.2g}",
    ]


def _lines_on_known_domains(summary: FitSummary) -> list[str]:
    if summary.known_threshold is None:
        return []
    return [
        f"rows of {summary.n_known_domains} domains that the fit knows, where they are named: threshold "
        f"{summary.known_threshold:.6g}, p-values compare with {summary.n_known_calibration:,} normals of "
        "these, each left out of a fit that knows its domain"
    ]


def _with_chosen_view(detector: BaseDetector, table: Table, *, quiet: bool) -> BaseDetector:
    from unseen.pipeline import compare_table_views

    with waiting("comparing views on domains left out"):
        choice = compare_table_views(detector, table)
    values = ", ".join(f"{name} {value:.3f}" for name, value in choice.values.items())
    say(f"view: {choice.view} by {choice.criterion}" + (f" ({values})" if values else ""), quiet=quiet)
    chosen: BaseDetector = detector.set_params(view=choice.view)
    return chosen
