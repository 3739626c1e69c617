"""Tables end to end: fitting, scoring files of any size, choosing views, estimating what will be caught."""

from unseen.pipeline.fit_summary import FitSummary
from unseen.pipeline.streaming import ScoreSummary, count_rows, score_file
from unseen.pipeline.table_model import DEFAULT_DETECTOR, ScoredBatch, TableModel
from unseen.pipeline.view_selection import ViewChoice, choose_view, compare_table_views, compare_views

__all__ = [
    "DEFAULT_DETECTOR",
    "FitSummary",
    "ScoreSummary",
    "ScoredBatch",
    "TableModel",
    "ViewChoice",
    "choose_view",
    "compare_table_views",
    "compare_views",
    "count_rows",
    "score_file",
]
