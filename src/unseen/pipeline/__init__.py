"""Tables and pictures end to end: fitting, scoring of any size, choosing views, estimating what is caught."""

from unseen.pipeline.fit_summary import FitSummary
from unseen.pipeline.image_folders import holds_pictures
from unseen.pipeline.image_model import DEFAULT_IMAGE_DETECTOR, ImageFitSummary, ImageModel
from unseen.pipeline.image_scoring import ImageScoreSummary, score_images
from unseen.pipeline.streaming import ScoreSummary, count_rows, score_file
from unseen.pipeline.table_model import DEFAULT_DETECTOR, ScoredBatch, TableModel
from unseen.pipeline.view_selection import ViewChoice, choose_view, compare_table_views, compare_views

__all__ = [
    "DEFAULT_DETECTOR",
    "DEFAULT_IMAGE_DETECTOR",
    "FitSummary",
    "ImageFitSummary",
    "ImageModel",
    "ImageScoreSummary",
    "ScoreSummary",
    "ScoredBatch",
    "TableModel",
    "ViewChoice",
    "choose_view",
    "compare_table_views",
    "compare_views",
    "count_rows",
    "holds_pictures",
    "score_file",
    "score_images",
]
