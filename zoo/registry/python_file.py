"""Python files next to a spec: components without a package."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ..errors import PluginError
from ..format.metadata import is_plugin_name

SUFFIX = ".py"


@dataclass(frozen=True)
class PythonFile:
    """A file as it was when a spec named it; its components are called ``STEM.NAME``."""

    path: Path
    text: bytes

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def distribution(self) -> str:
        """The name that a share file records as the source of the components."""
        return self.path.name

    @property
    def version(self) -> str:
        """No release, and another for each content."""
        return f"0+{hashlib.sha256(self.text).hexdigest()[:12]}"

    @property
    def module(self) -> str:
        return f"zoo_beside_{self.name.replace('-', '_')}_{self.version[2:]}"

    def imported(self) -> ModuleType:
        """The file's module, from the text that was read; errors of the file are raised."""
        module = ModuleType(self.module)
        module.__file__ = str(self.path)
        sys.modules[self.module] = module  # where dataclasses and annotations look for their names
        try:
            exec(compile(self.text, str(self.path), "exec"), module.__dict__)
        except BaseException:
            del sys.modules[self.module]
            raise
        return module


def is_python_file(entry: str) -> bool:
    """Whether an entry of a spec's ``plugins`` is a file, not the name of an installed plugin."""
    return entry.endswith(SUFFIX) or "/" in entry or "\\" in entry


def comes_from_a_file(distribution: str, version: str) -> bool:
    """Whether a recorded component comes from a Python file, which pip cannot install."""
    return distribution.endswith(SUFFIX) and version.startswith("0+")


def read_python_file(entry: str, folder: Path) -> PythonFile:
    """The Python file that a spec in a folder names; PluginError for an invalid name."""
    path = folder / entry
    if path.suffix != SUFFIX:
        raise PluginError(f"'{entry}' is not a Python file: its name must end in {SUFFIX}")
    if not is_plugin_name(path.stem):
        raise PluginError(
            f"invalid file name '{entry}': it prefixes its components' names, so use letters, digits, '-' and '_' only"
        )
    try:
        return PythonFile(path, path.read_bytes())
    except OSError as error:
        raise PluginError(f"{path} cannot be read: {error.strerror}") from None
