"""Detect kinds of anomalies nobody has labelled yet."""

__version__ = "0.1.0"
