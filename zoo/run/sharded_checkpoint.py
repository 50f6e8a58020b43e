"""Checkpoints of a state that is divided among processes: torch's distributed ones, as safetensors."""

from __future__ import annotations

import json
from collections.abc import Set
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict_loader import load as load_parts
from torch.distributed.checkpoint.state_dict_saver import save as save_parts
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter

from ..engine.distributed import Processes
from ..errors import DamagedFile, UsageError, ZooError
from . import checkpoint

State = dict[str, Any]


def write(directory: Path, step: int, state: State, keep: Set[int], processes: Processes) -> None:
    """Write a checkpoint aside, every process its own part; then the first one seals it and puts it in place."""
    tensors: dict[str, Tensor] = {}
    text = json.dumps(checkpoint.pack(state, tensors, take=Tensor.detach))
    with ExitStack() as stack:
        aside = processes.once(lambda: stack.enter_context(checkpoint.writing(directory, step)))
        try:
            save_parts(tensors, storage_writer=_writer(aside))
        except CheckpointException as error:
            raise ZooError(f"the checkpoint {aside.with_suffix('')} could not be written: {_reason(error)}") from error
        processes.once(lambda: _finish(aside, text, stack))
    processes.once(lambda: checkpoint.prune(directory, step, keep))


def load(directory: Path, step: int, state: State) -> State:
    """A checkpoint that verifies, read into the tensors of the present state."""
    path = directory / f"step-{step}"
    tensors: dict[str, Tensor] = {}
    checkpoint.pack(state, tensors, take=Tensor.detach)
    try:
        load_parts(tensors, storage_reader=_reader(path))
        return checkpoint.read(path, tensors)
    except (CheckpointException, OSError, ValueError, KeyError) as error:
        raise DamagedFile(f"{path}: {type(error).__name__}: {_reason(error)}") from None


def _finish(aside: Path, text: str, stack: ExitStack) -> None:
    (aside / checkpoint.STATE).write_text(text)
    checkpoint.seal(aside)
    stack.close()


def _writer(path: Path) -> StorageWriter:
    writer: StorageWriter = _storage().HuggingFaceStorageWriter(str(path), save_distributed=True)
    return writer


def _reader(path: Path) -> StorageReader:
    reader: StorageReader = _storage().HuggingFaceStorageReader(str(path))
    return reader


def _storage() -> Any:
    """Torch's own form is pickled; since 2.8 it knows this one too."""
    try:
        from torch.distributed.checkpoint import hf_storage
    except ImportError:
        raise UsageError("engine.strategy fsdp2 needs torch 2.8 or later, which saves without pickle") from None
    return hf_storage


def _reason(error: BaseException) -> str:
    failures = getattr(error, "failures", None) or {}
    return "; ".join(str(failure[0]) for failure in failures.values()) or str(error)
