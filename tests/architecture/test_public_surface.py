"""What users may import, locked: a name that comes or goes changes this file too."""

from __future__ import annotations

import importlib
import types

import pytest

PUBLIC: dict[str, list[str]] = {
    "unseen.cli": ["app", "main"],
    "unseen.data": [
        "ColumnRoles",
        "Table",
        "TableBatch",
        "TablePreprocessor",
        "TableSchema",
        "concat",
        "load_sample",
        "read_table",
        "sample_citation",
        "sample_path",
        "scan_table",
    ],
    "unseen.data.images": [
        "ImageItem",
        "ImageSet",
        "LAYOUTS",
        "concat_images",
        "decode_image",
        "decode_mask",
        "read_images",
    ],
    "unseen.detectors": [
        "AnomalyAwareVAE",
        "BaseDetector",
        "BoostedTrees",
        "CORAL",
        "DETECTORS",
        "DeepSAD",
        "DevNet",
        "IsolationForest",
        "KNearestNeighbours",
        "MTAE",
        "MTLRED",
        "Mahalanobis",
        "MultiDirectionalMeta",
        "ODIN",
        "ResAD",
        "VAE",
    ],
    "unseen.detectors.baselines": [
        "BoostedTrees",
        "CORAL",
        "DeepSAD",
        "DevNet",
        "IsolationForest",
        "KNearestNeighbours",
        "MTAE",
        "MTLRED",
        "Mahalanobis",
        "ODIN",
        "ResAD",
        "VAE",
    ],
    "unseen.detectors.images": [
        "BaseImageDetector",
        "NearestNeighbourPatches",
        "PCAResidual",
        "PaDiM",
        "PatchCore",
        "Spade",
        "ValueOrder",
    ],
    "unseen.evaluation": [
        "Material",
        "Part",
        "Progress",
        "ResultRow",
        "Results",
        "Settings",
        "SplitMaker",
        "evaluate",
        "gather",
        "read_part",
    ],
    "unseen.metrics": [
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
    ],
    "unseen.nn.backbones": [
        "Backbone",
        "EMBEDDED",
        "FeatureBatch",
        "FeatureMaps",
        "extract",
        "iterate_features",
        "load_backbone",
        "patch_grid",
    ],
    "unseen.nn.synthetic": [
        "AUGMENTATIONS",
        "DRAWINGS",
        "DrawnTextures",
        "PictureTextures",
        "SyntheticAnomalies",
        "SyntheticAnomaly",
        "TextureSource",
        "augment",
        "estimate_foreground",
        "perlin_masks",
        "perlin_noise",
    ],
    "unseen.persistence": ["SCHEMA_VERSION", "load", "save"],
    "unseen.pipeline": [
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
    ],
    "unseen.protocols": ["Split", "know_every_kind", "leave_one_kind_out"],
    "unseen.references": [
        "ReferenceStore",
        "VIEWS",
        "View",
        "apply_view",
        "build_store",
        "empty_store",
        "extend_store",
        "nearest",
        "reference_rows",
    ],
    "unseen.reports": ["REPORT", "write_report"],
    "unseen.scoring": [
        "Calibration",
        "benjamini_hochberg",
        "bonferroni_p",
        "cauchy_p",
        "conformal_p_values",
        "f1_threshold",
        "false_alarm_threshold",
        "harmonic_p",
        "hold_back",
        "log_scaled_robust_z",
        "smallest_p",
        "sum_fusion",
    ],
}


@pytest.mark.parametrize("package", PUBLIC)
def test_the_public_names_are_these(package):
    module = importlib.import_module(package)
    assert sorted(module.__all__) == PUBLIC[package]
    assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.parametrize("package", PUBLIC)
def test_a_package_shows_its_public_names_and_its_modules_only(package):
    module = importlib.import_module(package)
    shown = {name for name, item in vars(module).items() if not isinstance(item, types.ModuleType)}
    assert {name for name in shown if not name.startswith("_")} <= set(PUBLIC[package]) | {"annotations"}
