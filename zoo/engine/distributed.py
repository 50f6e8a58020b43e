"""The processes that train one model together. Most runs are one process, alone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from ..errors import UsageError, ZooError, listed

T = TypeVar("T")

LAUNCHER = "ZOO_LAUNCHER"
"""Who started this process, where that was zoo: the environment's name for its process id."""
_LAUNCHED = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
"""What a launcher says of a process, and what holds where it does not."""
_MEETING = ("MASTER_ADDR", "MASTER_PORT")
"""Where it says that the processes meet."""
MEETING = timedelta(minutes=10)
"""How long a process waits for the others to come."""
PATIENCE = timedelta(hours=3)
"""How long the others wait while the first process measures and draws."""


class Processes(ABC):
    """The processes of a run. Every process computes; only the first one writes."""

    rank: int
    size: int

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    @property
    def stream(self) -> tuple[int, ...]:
        """The number that separates this process's noise from that of others; the first has the noise of a single
        process.
        """
        return (self.rank,) if self.rank else ()

    @abstractmethod
    def device(self, name: str) -> str:
        """The device that a process computes on, where the run computes on ``name``."""

    @abstractmethod
    def once(self, make: Callable[[], T]) -> T:
        """The result of the first process, in every process; a `ZooError` of the first is raised in all."""

    @abstractmethod
    def gather(self, value: T) -> list[T]:
        """Every process's value, by rank, in every process."""

    @abstractmethod
    def gather_tensors(self, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        """Every process's tensors, by rank, in the first process; in another its own, as often as there are processes.

        Their shapes and dtypes are those of each process alike.
        """

    @abstractmethod
    def agree(self, signal: int | None) -> int | None:
        """The signal by which some process was asked to stop: asked once a step, the same answer for all."""

    @abstractmethod
    def worst(self, flag: Tensor) -> None:
        """The largest of all processes' values, written into this tensor on the device."""


class Alone(Processes):
    """One process."""

    rank, size = 0, 1

    def device(self, name: str) -> str:
        return name

    def once(self, make: Callable[[], T]) -> T:
        return make()

    def gather(self, value: T) -> list[T]:
        return [value]

    def gather_tensors(self, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        return [dict(tensors)]

    def agree(self, signal: int | None) -> int | None:
        return signal

    def worst(self, flag: Tensor) -> None:
        """One process's value is the largest."""


class Together(Processes):
    """The processes that a launcher started, joined in torch's process group."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.local = int(os.environ.get("LOCAL_RANK", "0"))
        # Decisions travel separately from the gradients, over the CPU: they never make a step wait for the device.
        self._decisions: Any = dist.new_group(backend="gloo", timeout=PATIENCE)
        self._ballot: tuple[Any, Tensor] | None = None

    def device(self, name: str) -> str:
        if ":" in name:
            raise UsageError(
                f"--device {name} names one device for {self.size} processes; use '{name.partition(':')[0]}'"
            )
        return f"{name}:{self.local}" if name == "cuda" else name

    def once(self, make: Callable[[], T]) -> T:
        if self.first:
            try:
                with _by_itself():
                    made = make()
            except ZooError as error:
                self._tell(_Refusal(str(error), error.exit_code))
                error.agreed = True
                raise
            self._tell(made)
            return made
        answer: Any = self._tell(None)
        if isinstance(answer, _Refusal):
            raise answer.error()
        return answer  # type: ignore[no-any-return]

    def gather(self, value: T) -> list[T]:
        held: list[Any] = [None] * self.size
        dist.all_gather_object(held, value, group=self._decisions)
        return held

    def gather_tensors(self, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        found = [dict(tensors) for _ in range(self.size)]
        for name, x in tensors.items():
            flat = x.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            every = [torch.empty_like(flat) for _ in range(self.size)] if self.first else None
            dist.gather(flat, every, dst=0, group=self._decisions)
            for held, bits in zip(found, every or [], strict=False):
                held[name] = bits.view(x.dtype).reshape(x.shape)
        return found

    def agree(self, signal: int | None) -> int | None:
        """One step late: this step's answer travels while the next step computes."""
        answer = self._counted()
        ballot = torch.tensor(signal or 0)
        self._ballot = dist.all_reduce(ballot, dist.ReduceOp.MAX, group=self._decisions, async_op=True), ballot
        return answer

    def worst(self, flag: Tensor) -> None:
        dist.all_reduce(flag, dist.ReduceOp.MAX)

    def close(self) -> None:
        """Wait for the last answer, and leave the group."""
        self._counted()
        dist.destroy_process_group()

    def _tell(self, value: Any) -> Any:
        held = [value]
        dist.broadcast_object_list(held, src=0, group=self._decisions, device=torch.device("cpu"))
        return held[0]

    def _counted(self) -> int | None:
        if self._ballot is None:
            return None
        work, ballot = self._ballot
        work.wait()
        self._ballot = None
        return int(ballot) or None


def launched() -> int | None:
    """The number of processes that a launcher such as torchrun started, including this one; None without a launcher.

    UsageError where the environment contradicts itself, or does not say where the processes meet.
    """
    if "RANK" not in os.environ:
        return None
    given = {name: os.environ.get(name, default) for name, default in _LAUNCHED.items()}
    if not all(word.isdecimal() for word in given.values()) or not int(given["RANK"]) < int(given["WORLD_SIZE"]):
        said = ", ".join(f"{name}={word!r}" for name, word in given.items())
        raise UsageError(f"the environment has {said}: expected RANK below WORLD_SIZE, as torchrun sets them")
    missing = [name for name in _MEETING if not os.environ.get(name)]
    if missing and given["WORLD_SIZE"] != "1":
        raise UsageError(
            f"RANK and WORLD_SIZE={given['WORLD_SIZE']} are set, but not {listed(missing)}: processes cannot find each "
            "other. Start them with torchrun, or unset RANK to train in one process"
        )
    return int(given["WORLD_SIZE"])


def writes() -> bool:
    """Whether this process speaks for the run: the first does."""
    return os.environ.get("RANK", "0") == "0"


def end_with_launcher() -> None:
    """Let the kernel kill this process when its launcher is gone, if zoo started it."""
    if sys.platform == "linux" and os.environ.get(LAUNCHER) == str(os.getppid()):
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def mean_over_processes(x: Tensor) -> Tensor:
    """The mean of every process's tensor, in every process; the tensor itself in a run of one.

    For what a part of a model observes once a step, such as a controller: every process has to call it. Within what
    the first process does alone, such as scoring, it is the tensor itself.

    >>> mean_over_processes(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    if _alone():
        return x
    total = x.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def gather_over_processes(x: Tensor) -> Tensor:
    r"""The rows of every process's tensor, by rank, in every process; the tensor itself in a run of one.

    For losses that compare the examples of a batch, such as a contrastive one: ``[B, ...] -> [processes * B, ...]``,
    with the same ``B`` in every process. Every process has to call it. Within what the first process does alone, such
    as scoring, it is the tensor itself.

    Gradients flow back to the rows of every process, summed over the losses :math:`L_p` of the processes,
    :math:`\partial \sum_p L_p / \partial x_r`. Training averages the gradients of parameters over the processes, which
    makes them those of the mean :math:`\frac{1}{P} \sum_p L_p`. So no factor is needed: where each process returns the
    loss of the whole gathered batch, or the mean over its own rows compared with all, the step is that of one process
    with the whole batch. ``train.accumulate`` does not enlarge the batch that is compared.

    References: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021,
    arXiv:2103.00020, section 2.4.

    >>> gather_over_processes(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    gathered: Tensor = x if _alone() else _Gathered.apply(x)
    return gathered


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        rows = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(rows, x.contiguous())
        return torch.cat(rows)  # [processes * B, ...]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def _by_itself() -> Iterator[None]:
    """Within this block a process works alone while the others wait: no process takes part in gathering."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def _alone() -> bool:
    return _ALONE.get() or not (dist.is_available() and dist.is_initialized())


@contextmanager
def joined() -> Iterator[Processes]:
    """Context manager with the processes of this run; `ZooError` if one of them is lost."""
    if launched() in (None, 1):
        yield Alone()
        return
    end_with_launcher()
    together = _met()
    try:
        yield together
        together.close()
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error).lower() or "closed by peer" in str(error):
            raise ZooError(
                f"process {together.rank} of {together.size} lost the connection to another one, which ended or cannot "
                "be reached; its error is printed above. The run can be resumed from its last checkpoint "
                f"({_first_line(error)})"
            ) from error
        raise


def _met() -> Together:
    where = ":".join(os.environ[name] for name in _MEETING)
    try:
        store, rank, size = next(rendezvous("env://", timeout=MEETING))
        store.set_timeout(PATIENCE)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
        return Together()
    except (ValueError, RuntimeError) as error:
        raise ZooError(f"the processes of this run could not connect at {where}: {_first_line(error)}") from error


@dataclass(frozen=True)
class _Refusal:
    """Error of the first process, as sent to the others."""

    message: str
    exit_code: int

    def error(self) -> ZooError:
        error = ZooError(self.message)
        error.exit_code, error.reported, error.agreed = self.exit_code, True, True
        return error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
