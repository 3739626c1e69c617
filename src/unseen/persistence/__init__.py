"""Models on the disk: a JSON manifest and safetensors, written atomically, read with suspicion."""

from unseen.persistence.models import SCHEMA_VERSION, load, save

__all__ = ["SCHEMA_VERSION", "load", "save"]
