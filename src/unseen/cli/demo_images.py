"""``unseen demo --images``: the same job on pictures, on the embedded cookies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from unseen.cli.console import print_table, row_progress, say

if TYPE_CHECKING:
    from unseen.pipeline import ImageModel

EVALUATED = ("nearest-neighbour-patches", "patchcore", "pca-residual")
REFERENCES = 4
SEEDS = 2
SETTINGS = ("rotations=1",)
"""The cookies lie as they like, but turned references do not help here and take time."""


def demo_of_pictures(out: Path, seed: int) -> None:
    """Fit, score and evaluate on the embedded pictures, and explain each step.

    Parameters
    ----------
    out : Path
        Folder to write to.
    seed : int
        Seed of the fit.
    """
    from unseen.data.images import read_images
    from unseen.data.images.sample import sample_folder

    folder = sample_folder()
    images = read_images(folder)
    say("Photographs of cookies; some are cracked. From the Amazon Lookout for Vision samples (CC BY-SA 4.0,")
    say(f"terms and changes: {folder / 'CITATION.txt'}).")
    say()
    say("1. Fit. Good pictures only: nobody says what a defect looks like, and no network is trained.")
    say("     unseen fit FOLDER --out MODEL --set rotations=1")
    model = _fit(folder, out / "model", seed)
    say()
    say("2. Score, with heat maps on one scale.")
    say(f"     unseen score MODEL FOLDER --out scores --maps   (here: {out / 'scores'})")
    _score(model, folder, out / "scores")
    say()
    say(f"3. Evaluate. How well does it work with {REFERENCES} good pictures, and where are the defects?")
    say(f"     unseen evaluate FOLDER --references {REFERENCES} --out DIR")
    _evaluate(out / "evaluation", images.layout, folder)


def _fit(folder: Path, out: Path, seed: int) -> ImageModel:
    from unseen.cli.detector_options import build_image_detector
    from unseen.cli.image_commands import describe_fit
    from unseen.persistence import save
    from unseen.pipeline import ImageModel
    from unseen.pipeline.image_folders import read_for_learning

    model = ImageModel.fit(read_for_learning(folder), build_image_detector(None, SETTINGS, seed=seed))
    save(model, out)
    for line in describe_fit(model.summary):
        say(f"   {line}")
    return model


def _score(model: ImageModel, folder: Path, out: Path) -> None:
    import polars as pl

    from unseen.cli.image_commands import describe_scores
    from unseen.data.images import read_images
    from unseen.pipeline import score_images

    test = read_images(folder).split("test")
    with row_progress("scoring", len(test), "pictures") as advance:
        summary = score_images(model, test, folder, out, maps=True, progress=advance)
    for line in describe_scores(summary):
        say(f"   {line}")
    by_kind = (
        pl.read_parquet(summary.out)
        .group_by("kind")
        .agg(pl.len().alias("n"), pl.col("flagged").mean(), pl.col("score").median())
        .sort("score")
    )
    print_table(
        ("kind", "pictures", "flagged", "median score"),
        [(kind, f"{n}", f"{share:.0%}", f"{score:.4g}") for kind, n, share, score in by_kind.iter_rows()],
    )


def _evaluate(out: Path, layout: str, folder: Path) -> None:
    from unseen.cli.evaluate import print_results
    from unseen.cli.evaluate_images import make_image_detectors
    from unseen.cli.trial_progress import trial_progress
    from unseen.data.images import read_images
    from unseen.evaluation import ImageProtocol, evaluate_images
    from unseen.reports import write_report

    own = [f"{EVALUATED[0]}.{text}" for text in SETTINGS]
    with trial_progress() as progress:
        results = evaluate_images(
            [read_images(folder, layout)],
            detectors=make_image_detectors(",".join(EVALUATED), own, image_size=256, textures=None),
            out=out,
            protocol=ImageProtocol(references=(REFERENCES,), seeds=SEEDS),
            progress=progress,
            dataset={"name": "Cookies (extract)", "terms": "CC BY-SA 4.0"},
        )
    print_results(results)
    say(f"The whole story, with galleries of pictures and their maps: {write_report(out)}")
