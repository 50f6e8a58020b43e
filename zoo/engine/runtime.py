"""Runtime of a model: device, precision, compilation, memory settings."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import UsageError
from ..interfaces import Batch, Clock, Model, Terms
from ..interfaces.capabilities import training_state
from ..spec import DEVICES, Spec
from .distributed import Processes
from .fsdp import shard

COMPILE_SECONDS = {"cpu": 90.0, "cuda": 60.0}
"""Roughly what compiling forward and backward of one model costs; only ``compile: auto`` asks."""
BF16 = ("amx_bf16", "avx512_bf16")
"""What torch calls the instructions of CPUs that multiply in bf16."""
COMPILERS = ("g++", "clang++", "c++")
COMPILE_GAIN = 0.2
"""The part of a step that compiling saves, at least, where it saves anything."""


@dataclass(frozen=True)
class Choices:
    """Runtime choices of a run, which a resumed run must repeat to give the same bits."""

    device: str
    precision: str
    compile: bool
    channels_last: bool
    processes: int = 1
    strategy: str = "ddp"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def find_device(name: str) -> torch.device:
    """The device of this name; ``auto`` is the best that there is."""
    if name == "auto":
        best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(best)
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device '{name}'; known: {DEVICES}") from None
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if device.type not in present or (device.index or 0) >= present[device.type]:
        raise UsageError(f"the device '{name}' is not available here; try --device auto")
    return device


def find_precision(name: str, device: torch.device) -> str:
    """The number format of this name; ``auto`` is bf16 where a device has instructions for it, and fp32 elsewhere."""
    return name if name != "auto" else "bf16" if computes_bf16(device) else "fp32"


def computes_bf16(device: torch.device) -> bool:
    """Whether a device multiplies in bf16, rather than emulating it: GPUs from Ampere on, CPUs with AMX or AVX512-BF16.

    Of a CPU it is not known, and so not used, with a torch that does not list the instructions of processors.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    found = instructions_of_cpu() if device.type == "cpu" else {}
    return any(found.get(name, False) for name in BF16)


def instructions_of_cpu() -> Mapping[str, Any]:
    """The name and the instructions of the processor, as torch lists them; empty with a torch that does not."""
    listed: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return listed


def prepare(spec: Spec, device: torch.device) -> None:
    """Process-wide settings, before anything is allocated."""
    if device.type == "cpu" and spec.engine.keep_freed_memory:
        keep_freed_memory()
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = spec.engine.tf32
        torch.backends.cudnn.allow_tf32 = spec.engine.tf32
        # Or a resumed run would not have the bits of an undisturbed one.
        torch.backends.cudnn.deterministic = True


def keep_freed_memory() -> bool:
    """Let glibc keep freed blocks for the next step instead of giving them back and faulting them in again.

    Activations are allocated and freed at every step; above 128 KiB each goes through mmap and munmap by default.
    Returns whether there is a glibc to tell.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_threshold, most = -1, -3, 1 << 30
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(mmap_threshold, most)) and bool(libc.mallopt(trim_threshold, most))


def can_compile(device: torch.device) -> bool:
    """Whether the requirements of torch.compile are met: on the CPU, a C++ compiler."""
    if device.type == "cpu":
        return any(map(shutil.which, COMPILERS))
    return device.type == "cuda"


@contextmanager
def quiet_compiler() -> Iterator[None]:
    """Context manager that silences torch's messages about its compiler, unless TORCH_LOGS asks for them."""
    if "TORCH_LOGS" in os.environ:
        yield
        return
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"torch(\.|$)")
            yield
    finally:
        logger.setLevel(level)


def compile_pays(device: torch.device, seconds_per_step: float, steps: int) -> bool:
    """Whether a run is long enough that compilation saves time."""
    cost = COMPILE_SECONDS.get(device.type, float("inf"))
    return can_compile(device) and seconds_per_step * steps * COMPILE_GAIN > cost


class Runtime:
    """A model on its device, and the one call that training makes of it."""

    def __init__(self, model: Model, choices: Choices, processes: Processes) -> None:
        self.choices = choices
        self.device = torch.device(processes.device(choices.device))
        self.processes = processes
        if choices.compile and not can_compile(self.device):
            raise UsageError(f"engine.compile is on, but no compiler for {self.device} is installed")
        self.model = place(model, self.device, choices.channels_last)
        self._forward: Callable[[Batch, Clock], Terms] = self.model
        self._replica: DistributedDataParallel | None = None

    @property
    def divided(self) -> bool:
        """Whether every process holds but a part of the weights."""
        return self.processes.size > 1 and self.choices.strategy == "fsdp2"

    def distribute(self) -> None:
        """Spread the model over the processes, and compile it: once it has the values that it starts from."""
        several = self.processes.size > 1
        if self.divided:
            shard(self.model, self.device)
        elif several:
            self._forward = self._replica = replicated(self.model)
        if self.choices.compile:
            # Graphs are captured on CUDA; a replay's results are read before the next one overwrites them.
            mode = "reduce-overhead" if self.device.type == "cuda" and not several else None
            self._forward = torch.compile(self._forward, mode=mode, dynamic=False)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        """The model's objective, in the declared precision."""
        if self.choices.compile and self.device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        with self.autocast():
            return self._forward(self.arrange(batch), clock)

    def synchronising(self, now: bool) -> AbstractContextManager[Any]:
        """Context manager in which backward averages gradients over processes, or else accumulates them for the next
        time.
        """
        return nullcontext() if now or self._replica is None else self._replica.no_sync()

    def autocast(self) -> AbstractContextManager[Any]:
        if self.choices.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def arrange(self, batch: Batch) -> Mapping[str, Tensor]:
        """Images in the declared memory format."""
        if not self.choices.channels_last:
            return batch
        # `contiguous` would leave the strides of a single channel as they are, which then say nothing of the format.
        return {name: x.to(memory_format=torch.channels_last) if x.dim() == 4 else x for name, x in batch.items()}


class _Objective(nn.Module):
    """A model's objective from which nothing but the loss leads back to the weights, as DDP needs it."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        terms: Terms = self.model(batch, clock)
        logs, weights = ({name: x.detach() for name, x in named.items()} for named in (terms.logs, terms.weights))
        return Terms(terms.loss, logs, weights)


def replicated(model: Model) -> DistributedDataParallel:
    """A model whose gradients are averaged over all processes during backward."""
    objective = _Objective(model)
    # These are each process's own: DDP would overwrite them by those of the first.
    own = [f"model.{name}" for name in training_state(model)]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(objective, own)  # type: ignore[no-untyped-call]
    # It also lets several players take turns, and keeps the order in which gradients are summed: without it, DDP
    # reorders them after the first step, and a resumed run would have other bits.
    return DistributedDataParallel(objective, find_unused_parameters=True)


def place(model: Model, device: torch.device, channels_last: bool) -> Model:
    """Move a model to its device and memory format."""
    model = model.to(device)
    return model.to(memory_format=torch.channels_last) if channels_last else model
