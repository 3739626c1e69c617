"""``unseen evaluate``: how well are kinds caught that were held out, and kinds that were known?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.cli import options
from unseen.cli.console import print_json, print_table, say

if TYPE_CHECKING:
    from unseen.evaluation import Results
    from unseen.reports.entries import Summary

_MOST_KINDS = 8
"""Kinds that get a column of their own in the printed tables."""


def evaluate(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for results and report.html.")],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Table file, folder or glob with labelled rows; or folders of pictures."
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="A public data set by name instead of FILE; with --root.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", help="Folder with the data set's files as published.")
    ] = None,
    max_rows_per_file: Annotated[
        int | None,
        typer.Option("--max-rows-per-file", min=1, help="Draw so many rows of each published file."),
    ] = None,
    fine_kinds: Annotated[
        bool, typer.Option("--fine-kinds", help="The data set's single attacks as kinds, not their groups.")
    ] = False,
    test: Annotated[str | None, typer.Option("--test", help="An official test table.")] = None,
    kind_column: options.KindColumn = None,
    normal: options.Normal = "normal",
    label_column: options.LabelColumn = None,
    domain_column: options.DomainColumn = None,
    group_column: options.GroupColumn = None,
    ignore: options.Ignore = "",
    categorical: options.Categorical = "",
    encoding: options.Encoding = "utf-8",
    detectors: Annotated[
        str, typer.Option("--detectors", help="Names separated by commas; 'all' for every one.")
    ] = "all",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="detector.key=value, a parameter of one detector; repeatable."),
    ] = None,
    shots: Annotated[
        str, typer.Option("--shots", help="Labelled rows of each known kind, by commas.")
    ] = "10",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many seeds: 0, 1, ...")] = 3,
    references: Annotated[
        str, typer.Option("--references", help="Normals of each new domain to adapt to, by commas.")
    ] = "0",
    contamination: Annotated[
        str, typer.Option("--contamination", help="Share of anomalies among training normals, by commas.")
    ] = "0",
    contaminants: Annotated[
        str,
        typer.Option("--contaminants", help="Kinds these come from: all, known (not the one held out)."),
    ] = "all",
    natural: Annotated[
        bool, typer.Option("--natural", help="Natural test sets instead of as many normals as anomalies.")
    ] = False,
    view: Annotated[
        str, typer.Option("--view", help="raw, residual-centre, scaled-centre, residual-nearest or auto.")
    ] = "raw",
    n_references: options.NReferences = 8,
    held_out: Annotated[
        str, typer.Option("--held-out", help="Kinds to hold out in turn, by commas; all by default.")
    ] = "",
    new_domains: Annotated[
        bool | None,
        typer.Option(
            "--new-domains/--mix-domains",
            help="Test normals of domains new to training, or of all domains. Default: new for a FILE with "
            "a domain column, mixed for a --dataset without references.",
        ),
    ] = None,
    max_normals: Annotated[
        int | None, typer.Option("--max-normals", min=1, help="Most normals to train on.")
    ] = None,
    false_alarm_rate: options.FalseAlarmRate = 0.01,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="Pictures: train on this folder, judge on the others; repeatable."),
    ] = None,
    textures: Annotated[
        Path | None,
        typer.Option("--textures", "--dtd", help="Pictures: folder of textures for synthetic defects."),
    ] = None,
    image_size: options.ImageSize = 256,
    layout: options.Layout = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Pictures: keep features here, for further runs.")
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Worker processes; one a core.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do not go on from an earlier run in DIR.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Hold each kind out in turn and measure detectors on it; a killed run goes on where it stopped."""
    from unseen.cli.detector_options import check_view
    from unseen.cli.evaluation_data import check_source, from_dataset, from_files
    from unseen.cli.evaluation_plan import SplitGrid, contaminant_kinds, make_detectors
    from unseen.cli.trial_progress import trial_progress
    from unseen.evaluation import Settings
    from unseen.evaluation import evaluate as run
    from unseen.pipeline import holds_pictures

    if any(holds_pictures(item) for item in files or ()):
        from unseen.cli.evaluate_images import evaluate_folders

        results = evaluate_folders(context, files or [], out)
        finish(results, out, as_json=as_json)
        return
    file = options.one_table(context, files)
    roles = options.column_roles(
        kind=kind_column,
        normal=normal,
        label=label_column,
        domain=domain_column,
        group=group_column,
        ignore=ignore,
        categorical=categorical,
    )
    check_source(file, test, roles, dataset, root)
    if dataset is None:
        check_view(view, domain_column)
    grid = SplitGrid(
        shots=options.whole_numbers("--shots", shots),
        references=options.whole_numbers("--references", references),
        contamination=options.shares("--contamination", contamination),
        seeds=range(seeds),
        balanced=not natural,
        held_out=options.names(held_out) or None,
        max_normals=max_normals,
        domain_split=new_domains if dataset is None or new_domains is not None else _asked(references),
        contaminants=contaminant_kinds(contaminants),
    )
    chosen = make_detectors(
        detectors, settings or (), view="raw" if view == "auto" else view, n_references=n_references
    )
    if dataset is None or root is None:
        data = from_files(str(file), test, roles, encoding)
    else:
        data = from_dataset(dataset, root, max_rows_per_file=max_rows_per_file, fine_kinds=fine_kinds)
        check_view(view, data.table.schema.roles.domain)
    how = Settings(
        view="auto" if view == "auto" else "as-given",
        n_references=n_references,
        false_alarm_rate=false_alarm_rate,
    )
    with trial_progress() as progress:
        results = run(
            data.table,
            detectors=chosen,
            splits=grid,
            out=out,
            test=data.test,
            settings=how,
            jobs=jobs,
            resume=not fresh,
            progress=progress,
            dataset=data.about | grid.about_contaminants(),
        )
    finish(results, out, as_json=as_json)


def finish(results: Results, out: Path, *, as_json: bool) -> None:
    """Write the page of an evaluation and print what came out.

    Parameters
    ----------
    results : Results
        Of the evaluation.
    out : Path
        Its folder.
    as_json : bool
        Whether to print one JSON document instead of tables.
    """
    from unseen.reports import write_report

    page = write_report(out)
    if as_json:
        print_json({"dataset": results.dataset, "rows": results.rows, "report": str(page)})
        return
    print_results(results)
    say(f"report: {page}")


def print_results(results: Results) -> None:
    """Print AUROC per kind, held out and known, mean and spread over seeds.

    Parameters
    ----------
    results : Results
        Of an evaluation.
    """
    from unseen.reports.entries import kinds_of, make_entries

    entries = make_entries(results)
    titles = {"held-out": "AUROC on kinds held out", "known": "AUROC on kinds that were known"}
    for role, title in titles.items():
        kinds = kinds_of(results, role)
        if not kinds:
            continue
        many = len(kinds) > _MOST_KINDS
        header = ("lowest", "of kind", "highest") if many else tuple(kinds)
        rows = []
        for entry in entries:
            of_kind = entry.per_kind(role, "auroc")
            cells = _extremes(of_kind) if many else _by_kind(of_kind, kinds)
            rows.append((entry.label, _cell(entry.mean_over_kinds(role, "auroc")), *cells))
        print_table(
            ("detector", "mean", *header),
            rows,
            title=f"{title}: {len(kinds)}" if many else title,
        )


def _by_kind(of_kind: Mapping[str, Summary], kinds: Sequence[str]) -> list[str]:
    return [_cell(of_kind[kind].mean, of_kind[kind].spread) if kind in of_kind else "" for kind in kinds]


def _extremes(of_kind: Mapping[str, Summary]) -> list[str]:
    """The lowest value with its kind, and the highest, where there are too many kinds for a column each."""
    if not of_kind:
        return ["", "", ""]
    means = {kind: found.mean for kind, found in of_kind.items()}
    lowest = min(means, key=lambda kind: means[kind])
    return [_cell(means[lowest]), lowest, _cell(max(means.values()))]


def _cell(mean: float, spread: float = float("nan")) -> str:
    text = f"{mean:.3f}"
    return text if spread != spread else f"{text} ± {spread:.3f}"


def _asked(references: str) -> bool | None:
    """Return None (new domains where there are any) if references are asked for, else False."""
    return None if any(options.whole_numbers("--references", references)) else False
