"""How well scores rank and decide, and how well maps show: AUROC, F1, operating points, intervals, PRO."""

from unseen.metrics.intervals import (
    Interval,
    Spread,
    bootstrap_interval,
    clopper_pearson_interval,
    delong_interval,
    hanley_mcneil_error,
    spread_over_seeds,
    wilson_interval,
)
from unseen.metrics.localisation import (
    Localisation,
    LocalisationMeter,
    localisation,
    pixel_auroc,
    pixel_f1_max,
    pro,
)
from unseen.metrics.operating import OperatingPoint, confusion_at, recall_at_false_alarm_rate
from unseen.metrics.ranking import auroc, average_precision, f1_max, precision_recall_curve, roc_curve

__all__ = [
    "Interval",
    "Localisation",
    "LocalisationMeter",
    "OperatingPoint",
    "Spread",
    "auroc",
    "average_precision",
    "bootstrap_interval",
    "clopper_pearson_interval",
    "confusion_at",
    "delong_interval",
    "f1_max",
    "hanley_mcneil_error",
    "localisation",
    "pixel_auroc",
    "pixel_f1_max",
    "precision_recall_curve",
    "pro",
    "recall_at_false_alarm_rate",
    "roc_curve",
    "spread_over_seeds",
    "wilson_interval",
]
