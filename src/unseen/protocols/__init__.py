"""Held-out kinds, few shots, contamination, domains with references: frozen index splits, never copied
data."""

from unseen.protocols.held_out import leave_one_kind_out
from unseen.protocols.splits import Split

__all__ = ["Split", "leave_one_kind_out"]
