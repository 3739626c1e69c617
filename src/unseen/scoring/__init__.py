"""From scores to decisions: conformal p-values, thresholds, probabilities, fusion of cues."""

from unseen.scoring.calibration import Calibration, hold_back
from unseen.scoring.conformal import benjamini_hochberg, conformal_p_values, smallest_p
from unseen.scoring.drift import Drift, measure_drift
from unseen.scoring.fusion import bonferroni_p, cauchy_p, harmonic_p, log_scaled_robust_z, sum_fusion
from unseen.scoring.thresholds import f1_threshold, false_alarm_threshold

__all__ = [
    "Calibration",
    "Drift",
    "benjamini_hochberg",
    "bonferroni_p",
    "cauchy_p",
    "conformal_p_values",
    "f1_threshold",
    "false_alarm_threshold",
    "harmonic_p",
    "hold_back",
    "log_scaled_robust_z",
    "measure_drift",
    "smallest_p",
    "sum_fusion",
]
