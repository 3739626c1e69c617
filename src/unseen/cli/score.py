"""``unseen score``: a model and a file in, a score for each row out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.cli import options
from unseen.cli.console import print_json, row_progress, say

if TYPE_CHECKING:
    from unseen.data import TableSchema
    from unseen.pipeline import ImageModel, ScoreSummary, TableModel

_LOW_MEDIAN_P = 0.35
_ENOUGH_ROWS = 20
"""Fewer p-values say nothing of how they are distributed."""

_OF_TABLES = ("keep", "domain_column", "encoding", "top_features", "batch_rows")
_OF_PICTURES = ("maps", "skip_unreadable", "layout")


def score(
    context: typer.Context,
    model: options.Model,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Table file, folder or glob; or a folder of pictures.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write: .parquet or .csv; for pictures also a folder.")
    ],
    keep: Annotated[
        str, typer.Option("--keep", help="Input columns to carry through, separated by commas; '*' for all.")
    ] = "",
    references: Annotated[
        str | None,
        typer.Option("--references", help="Rows or pictures known to be normal; see `unseen adapt`."),
    ] = None,
    domain_column: options.DomainColumn = None,
    encoding: options.Encoding = "utf-8",
    false_alarm_rate: Annotated[
        float | None, typer.Option("--false-alarm-rate", help="Flag this share of normals at most.")
    ] = None,
    fdr: Annotated[
        float | None,
        typer.Option("--fdr", help="Flag so that at most this share of the flagged rows is normal."),
    ] = None,
    top_features: Annotated[
        int, typer.Option("--top-features", min=0, help="How many columns to name a row; 0 for none.")
    ] = 3,
    batch_rows: Annotated[int, typer.Option("--batch-rows", min=1, help="Rows in memory together.")] = 65_536,
    maps: Annotated[
        bool, typer.Option("--maps", help="Pictures: write heat maps (PNG) and overlays (JPEG).")
    ] = False,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Pictures: list damaged files in the table and go on.")
    ] = False,
    layout: options.Layout = None,
    as_json: options.AsJson = False,
) -> None:
    """Score every row or picture: score, p_value, flagged, and what says most. Memory stays bounded."""
    from unseen.errors import ParameterError
    from unseen.persistence import load
    from unseen.pipeline import ImageModel, count_rows, score_file

    fitted = matching_model(load(model), model, file)
    if isinstance(fitted, ImageModel):
        from unseen.cli.image_commands import adapt_to_folder, score_folder

        options.refuse_given(context, _OF_TABLES, f"{file} holds pictures")
        if references is not None:
            matching_model(fitted, model, references)
            fitted = adapt_to_folder(fitted, references, None, quiet=as_json)
        score_folder(
            fitted, file, out, layout=layout, as_json=as_json, maps=maps, skip_unreadable=skip_unreadable,
            false_alarm_rate=false_alarm_rate, false_discovery_rate=fdr,
        )  # fmt: skip
        return
    options.refuse_given(context, _OF_PICTURES, f"{file} is no folder of pictures")
    if references is not None:
        if Path(references).exists() and Path(file).exists() and Path(references).samefile(file):
            raise ParameterError(
                f"--references {references} is FILE itself: rows that are taken for normal cannot be scored."
            )
        fitted = adapt_to(fitted, references, domain_column, encoding, quiet=as_json)
    with row_progress("scoring", count_rows(file)) as advance:
        summary = score_file(
            fitted,
            file,
            out,
            schema=with_domain(fitted.schema, domain_column, file, encoding),
            encoding=encoding,
            keep=options.names(keep),
            top_features=top_features,
            false_alarm_rate=false_alarm_rate,
            false_discovery_rate=fdr,
            batch_rows=batch_rows,
            progress=advance,
        )
    if as_json:
        print_json(summary.to_json())
        return
    for line in describe(summary):
        say(line)


def matching_model(model: object, path: Path, file: str) -> TableModel | ImageModel:
    """Return a loaded model if it suits an input: a model of pictures for pictures, of tables for the rest.

    Parameters
    ----------
    model : object
        What was loaded.
    path : Path
        Where from.
    file : str
        The input.

    Returns
    -------
    TableModel or ImageModel

    Raises
    ------
    ModelFormatError
        If it is a model of the other sort, or a bare detector.
    """
    from unseen.errors import ModelFormatError
    from unseen.pipeline import ImageModel, TableModel, holds_pictures

    if not isinstance(model, TableModel | ImageModel):
        raise ModelFormatError(
            f"{path}: holds a bare {type(model).__name__} without a table's columns or a scale of maps; use "
            "it from Python."
        )
    if isinstance(model, TableModel) and holds_pictures(file):
        raise ModelFormatError(f"{path}: is a model of tables, but {file} holds pictures.")
    if isinstance(model, ImageModel) and not _may_be_pictures(file):
        raise ModelFormatError(f"{path}: is a model of pictures, but {file} holds none.")
    return model


def _may_be_pictures(file: str) -> bool:
    """Whether a model of pictures can be tried on an input; reading it says what is wrong otherwise."""
    from unseen.pipeline import holds_pictures

    place = Path(file)
    return holds_pictures(file) or not place.exists() or (place.is_dir() and not any(place.iterdir()))


def with_domain(schema: TableSchema, domain: str | None, file: str, encoding: str) -> TableSchema:
    """Return a schema whose domain column is ``domain``, if that is given; the file must have it then."""
    from dataclasses import replace

    from unseen.data.reading import check_has_column

    if domain is None:
        return schema
    check_has_column(file, domain, "domain", encoding)
    return replace(schema, roles=replace(schema.roles, domain=domain))


def adapt_to(
    model: TableModel, references: str, domain: str | None, encoding: str, *, quiet: bool
) -> TableModel:
    """Return a model adapted to a file of references, and say what that does.

    Parameters
    ----------
    model : TableModel
        The model.
    references : str
        File, folder or glob.
    domain : str or None
        Domain column of that file; None: the model's own.
    encoding : str
        Character encoding of text files.
    quiet : bool
        Whether stdout is for a program.

    Returns
    -------
    TableModel
    """
    from unseen.data import read_table

    schema = with_domain(model.schema, domain, references, encoding)
    table = read_table(references, schema=schema, require_labels=False, encoding=encoding)
    adapted = model.adapt(table)
    n_domains = 0 if table.domains is None else len(set(table.domains.tolist()) - {""})
    of = f"{n_domains:,} domain{'s' * (n_domains != 1)}" if n_domains else "rows without a domain"
    given = f"{len(table):,} reference{'s' * (len(table) != 1)} for {of}"
    say(f"{given}; {model.summary.detector}: {model.detector.reference_use}", quiet=quiet)
    held_back = f"{model.summary.n_calibration:,} normals held back by the fit"
    if adapted.calibration.n_domains:
        n_left_out = int(adapted.calibration.n_domains)
        compared = f"still compare with the normals of {n_left_out} domains left out of the fit in turn"
    elif adapted.calibration is not model.calibration:
        compared = f"now compare with the references, each scored without itself, beside the {held_back}"
    else:
        compared = f"still compare with the {held_back}"
    say(f"p-values {compared}", quiet=quiet)
    return adapted


def describe(summary: ScoreSummary) -> list[str]:
    """Return what came out of scoring, as lines of prose.

    Parameters
    ----------
    summary : ScoreSummary
        Of the run.

    Returns
    -------
    list of str
    """
    share = summary.n_flagged / summary.n_rows
    rows = f"{summary.n_rows:,} row{'s' * (summary.n_rows != 1)}"
    lines = [
        f"scored {rows} in {summary.seconds:.1f} s, {summary.rows_per_second:,.0f} a second",
        f"flagged {summary.n_flagged:,} ({share:.2%}); rule: {summary.rule}",
    ]
    if summary.n_of_known_domains:
        above = "" if summary.known_threshold is None else f"; flagged above {summary.known_threshold:.6g}"
        lines.append(
            f"note: {summary.n_of_known_domains:,} rows are of domains that the fit knows; they are compared "
            f"with its own normals, each left out{above}"
        )
    if summary.n_without_references:
        lines.append(
            f"note: {summary.n_without_references:,} rows are of domains without references; "
            "they are seen from the pooled normals"
        )
    if summary.other_categories:
        counts = ", ".join(f"{name!r} {count:,}" for name, count in summary.other_categories.items())
        lines.append(f"note: rows with a category that the training normals lack, or hardly have: {counts}")
    if summary.n_rows >= _ENOUGH_ROWS:
        lines += _on_p_values(summary)
    return [*lines, f"wrote {summary.out}"]


def _on_p_values(summary: ScoreSummary) -> list[str]:
    """Say how p-values lie, which tells drifted normals from those of the fit if most rows are normal."""
    lines = [
        f"p-values: median {summary.median_p:.2g}, distance from uniform {summary.p_distance:.2g} (normals "
        "like those of the fit: .5 and about 0; anomalies among the rows, or drift of the normals, move both)"
    ]
    if summary.median_p < _LOW_MEDIAN_P:
        all_adapted = summary.n_without_references == 0
        advice = "give more references" if all_adapted else "adapt to references of this place"
        lines.append(
            f"note: half of the rows have p-values of {summary.median_p:.2g} or less, which is rare where "
            "most rows are normals like those of the fit; if they are normal, normals have drifted, and more "
            f"than the promised share is flagged: {advice}, or fit again"
        )
    return lines
