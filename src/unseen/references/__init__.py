"""References: a few known normals of a new domain, and the views of rows that they allow."""

from unseen.references.views import (
    VIEWS,
    ReferenceStore,
    View,
    apply_view,
    build_store,
    empty_store,
    extend_store,
    nearest,
    reference_rows,
)

__all__ = [
    "VIEWS",
    "ReferenceStore",
    "View",
    "apply_view",
    "build_store",
    "empty_store",
    "extend_store",
    "nearest",
    "reference_rows",
]
