"""Readers for public data sets, from the files as their publishers give them out."""

from unseen.data.datasets.catalogue import DATASETS, read_dataset
from unseen.data.datasets.description import DatasetDescription, DatasetInfo, DatasetReader, DatasetTables

__all__ = ["DATASETS", "DatasetDescription", "DatasetInfo", "DatasetReader", "DatasetTables", "read_dataset"]
