"""The machine that models run on: versions, devices, number formats, compiler."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import torch

from .. import __version__
from .runtime import COMPILERS, can_compile, computes_bf16, instructions_of_cpu

PACKAGES = ("torch", "torchvision", "numpy", "safetensors", "pydantic", "PyYAML", "typer", "pillow")


@dataclass(frozen=True)
class Device:
    """A device: its name, memory in bytes where it is known, whether it computes in bf16, and whether models compile
    for it.
    """

    device: str
    name: str
    memory: int | None
    bf16: bool
    compiles: bool


def versions() -> Mapping[str, str]:
    """The versions of zoo, Python and the packages that it computes with; ``missing`` for one that is not installed."""
    return {"zoo": __version__, "python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def devices() -> list[Device]:
    """The devices that ``--device`` takes, the CPU first."""
    found = [Device("cpu", _processor(), _memory(), computes_bf16(CPU), can_compile(CPU))]
    for index in range(torch.cuda.device_count()):
        device, facts = torch.device("cuda", index), torch.cuda.get_device_properties(index)
        found.append(Device(str(device), facts.name, facts.total_memory, computes_bf16(device), can_compile(device)))
    if torch.backends.mps.is_available():
        found.append(Device("mps", platform.processor(), None, False, False))
    return found


def compiler() -> str | None:
    """The C++ compiler for models on the CPU, in its own words; None without one."""
    path = next(filter(None, map(shutil.which, COMPILERS)), None)
    if path is None:
        return None
    try:
        asked = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True)
        return f"{path}: {asked.stdout.splitlines()[0]}"
    except (OSError, subprocess.SubprocessError, IndexError):
        return path


def threads() -> tuple[int, int]:
    """The threads that torch computes with, and the processors that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return torch.get_num_threads(), usable


CPU = torch.device("cpu")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _processor() -> str:
    return str(instructions_of_cpu().get("cpu_name") or platform.processor() or platform.machine())


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
