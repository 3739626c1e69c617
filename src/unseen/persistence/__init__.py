"""Models on the disk: a JSON manifest and safetensors, written atomically, read with suspicion."""

from unseen.persistence.models import SCHEMA_VERSION, check_place, load, save
from unseen.persistence.onnx_export import export_onnx

__all__ = ["SCHEMA_VERSION", "check_place", "export_onnx", "load", "save"]
