"""Evaluation: detectors over protocols, resumable, with results as rows.

>>> from functools import partial
>>> splits = partial(leave_one_kind_out, shots=10, seeds=(0, 1, 2))           # doctest: +SKIP
>>> evaluate(table, detectors={"knn": KNearestNeighbours()}, splits=splits, out="out")  # doctest: +SKIP
"""

from unseen.evaluation.engine import SplitMaker, evaluate
from unseen.evaluation.image_engine import evaluate_images
from unseen.evaluation.image_splits import ImageProtocol
from unseen.evaluation.material import Material, gather
from unseen.evaluation.parts import Part, read_part
from unseen.evaluation.progress import Progress
from unseen.evaluation.results import ResultRow, Results
from unseen.evaluation.settings import Settings

__all__ = [
    "ImageProtocol",
    "Material",
    "Part",
    "Progress",
    "ResultRow",
    "Results",
    "Settings",
    "SplitMaker",
    "evaluate",
    "evaluate_images",
    "gather",
    "read_part",
]
