"""``unseen demo``: the main job from end to end on the embedded sample, in less than a minute."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.cli import options
from unseen.cli.console import print_table, row_progress, say

if TYPE_CHECKING:
    from unseen.data import Table
    from unseen.pipeline import TableModel

UNLABELLED_KIND = "probe"
"""The kind that the demonstration pretends nobody has labelled."""

EVALUATED = ("k-nearest-neighbours", "mahalanobis", "isolation-forest", "anomaly-aware-vae")


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path("unseen-demo"),
    images: Annotated[bool, typer.Option("--images", help="Pictures instead of a table.")] = False,
    seed: options.Seed = 0,
) -> None:
    """Fit, score and evaluate on a real sample that comes with the package, and explain each step."""
    if images:
        from unseen.cli.demo_images import demo_of_pictures

        demo_of_pictures(out, seed)
        return
    from unseen.data.sample import load_sample, sample_citation, sample_path

    train, test_path = load_sample("train"), sample_path("test")
    shown = train.take(train.labels.kinds != UNLABELLED_KIND)
    say("Network connections from NSL-KDD: normal traffic, and attacks of four kinds.")
    say(textwrap.fill(" ".join(sample_citation().split()), 100))
    say()
    say(f"1. Fit. Let us pretend that nobody has labelled {UNLABELLED_KIND!r}: its rows are taken out of the")
    say(f"   {len(train):,} training rows. The same with your own table:")
    say("     unseen fit FILE --kind-column KIND --normal normal --out MODEL")
    model = _fit(shown, out / "model", seed)
    say()
    say("2. Score. The test file is the publisher's own; its normals have drifted from the training ones.")
    say(f"     unseen score MODEL FILE --out scores.parquet   (here: {out / 'scores.parquet'})")
    _score(model, test_path, out / "scores.parquet")
    say()
    say("3. Evaluate. How well would kinds be caught that nobody labelled? Each kind is held out in turn.")
    say("     unseen evaluate FILE --test FILE --kind-column KIND --out DIR")
    page = _evaluate(train, out / "evaluation", seed)
    say(f"The whole story, with curves and pictures: {page}")


def _fit(table: Table, out: Path, seed: int) -> TableModel:
    from unseen.cli.detector_options import build_detector
    from unseen.cli.fit import describe, fit_and_estimate
    from unseen.persistence import save
    from unseen.pipeline import DEFAULT_DETECTOR

    model = fit_and_estimate(table, build_detector(DEFAULT_DETECTOR, seed=seed), estimate=True)
    save(model, out)
    for line in describe(model.summary):
        say(f"   {line}")
    return model


def _score(model: TableModel, source: Path, out: Path) -> None:
    import polars as pl

    from unseen.cli.score import describe
    from unseen.data.sample import SAMPLE_ROLES
    from unseen.pipeline import score_file

    kind = SAMPLE_ROLES.kind or ""
    with row_progress("scoring", None) as advance:
        summary = score_file(model, source, out, keep=(kind,), progress=advance)
    for line in describe(summary):
        say(f"   {line}")
    by_kind = (
        pl.read_parquet(out)
        .group_by(kind)
        .agg(
            pl.len().alias("rows"),
            pl.col("flagged").mean(),
            pl.col("top_1").cast(pl.String).drop_nulls().mode().first(),
        )
        .sort("flagged", descending=True)
    )
    print_table(
        ("kind", "rows", "flagged", "what speaks most"),
        [
            (
                f"{name} (never labelled)" if name == UNLABELLED_KIND else name,
                f"{rows:,}",
                f"{share:.1%}",
                top or "",
            )
            for name, rows, share, top in by_kind.iter_rows()
        ],
    )


def _evaluate(train: Table, out: Path, seed: int) -> Path:
    from unseen.cli.evaluate import print_results
    from unseen.cli.evaluation_plan import SplitGrid, make_detectors
    from unseen.cli.trial_progress import trial_progress
    from unseen.data.sample import load_sample
    from unseen.evaluation import evaluate
    from unseen.reports import write_report

    grid = SplitGrid(
        shots=[10],
        references=[0],
        contamination=[0.0],
        seeds=[seed],
        balanced=True,
        held_out=None,
        max_normals=None,
    )
    with trial_progress() as progress:
        results = evaluate(
            train,
            detectors=make_detectors(",".join(EVALUATED), (), view="raw", n_references=8),
            splits=grid,
            out=out,
            test=load_sample("test", schema=train.schema),
            progress=progress,
            dataset={"name": "NSL-KDD extract"},
        )
    print_results(results)
    return Path(write_report(out))
