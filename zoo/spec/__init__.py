"""Specs from YAML: merged with what they extend, overridden, and validated."""

from ..document.yaml import read_yaml
from ..registry.shipped import shipped_specs
from .load import as_written, bring_python_files, find_spec, load_spec, python_files_of
from .spec import DEVICES, Evaluate, InitFrom, Sample, Spec, chosen, parts_in

__all__ = [
    "DEVICES", "Evaluate", "InitFrom", "Sample", "Spec", "as_written", "bring_python_files", "chosen", "find_spec",
    "load_spec", "parts_in", "python_files_of", "read_yaml", "shipped_specs",
]  # fmt: skip
