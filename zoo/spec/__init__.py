"""YAML -> Spec: read strictly, merged with what it extends, overridden, validated as a whole."""

from .load import find_spec, load_spec, shipped_specs
from .spec import InitFrom, Spec
from .yaml import read_yaml

__all__ = ["InitFrom", "Spec", "find_spec", "load_spec", "read_yaml", "shipped_specs"]
