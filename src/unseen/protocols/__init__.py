"""Held-out kinds, few shots, contamination, domains with references: frozen index splits, never copied
data."""

from unseen.protocols.held_out import know_every_kind, leave_one_kind_out
from unseen.protocols.splits import Split

__all__ = ["Split", "know_every_kind", "leave_one_kind_out"]
