"""YAML -> Spec: merged with what it extends, overridden, validated as a whole."""

from ..shipped import shipped_specs
from ..yaml import read_yaml
from .load import bring_python_files, find_spec, load_spec
from .spec import InitFrom, Spec

__all__ = [
    "InitFrom", "Spec", "bring_python_files", "find_spec", "load_spec", "read_yaml", "shipped_specs",
]  # fmt: skip
