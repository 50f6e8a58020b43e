"""Codes of data, as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..assembly.build import require_data_of
from ..data.batches import Source, every
from ..engine.randomness import seeded
from ..engine.runtime import find_device, place, prepare
from ..errors import DataError, UsageError
from ..interfaces import Encodes, Model, encoded
from ..interfaces.boundary import trusted
from ..interfaces.dataset import Split
from ..progress import counted, doing
from ..run.directory import file_to_open
from ..share.file import read_share
from ..storage.atomic import write_whole
from .outside_data import require_agreed
from .writers import array_writer

SPLITS: Mapping[str, Split] = {"test": "test", "train": "train"}


@dataclass(frozen=True)
class Encoded:
    """Result of encoding: the number of codes, and their shape."""

    n: int
    shape: tuple[int, ...]


def encode_file(
    run_or_file: str | Path,
    output: Path,
    *,
    split: str = "test",
    overrides: Sequence[str] = (),
    device: str = "auto",
    trust: bool = False,
    data_of_file: bool = False,
) -> Encoded:
    """The codes that a run or a share file gives the data of its spec, in order, in a file.

    Data that only the file has chosen is read where ``data_of_file`` says so; ``trust`` as `zoo.load` has it.
    The form is that which the file's ending names: ``.npy``, ``.pt``, or ``.csv`` with a row for each code. UsageError
    for a model that does not encode.
    """
    if split not in SPLITS:
        raise UsageError(f"unknown split '{split}': expected {' or '.join(SPLITS)}")
    write = array_writer(output)
    share = read_share(file_to_open(run_or_file, trust=trust))
    require_agreed(run_or_file, share, overrides, data_of_file)
    spec = share.respecified(overrides)
    on = find_device(device)
    prepare(spec, on)
    model = place(share.model(), on, spec.engine.channels_last)
    if not isinstance(model, Encodes):
        raise UsageError(f"{run_or_file} has no codes: model '{spec.model.name}' does not encode")
    require_data_of(model, spec)
    source = every(spec.data(), SPLITS[split], on)
    codes = _codes(model, source, spec.train.seed, spec.evaluate.batch)
    write_whole(output, lambda aside: write(codes, aside))
    return Encoded(len(codes), tuple(codes.shape))


def _codes(model: Model, source: Source, seed: int, batch: int) -> Tensor:
    """The code of every example of a source, in order, ``[N, ...]``, on the CPU."""
    if len(source) == 0:
        raise DataError("no examples to encode")
    with trusted(), seeded(source.device, seed, "encode"), doing("encoding"):
        batches = counted(source.in_order(batch), -(-len(source) // batch))
        return torch.cat([codes.cpu() for codes, _ in encoded(model, batches)])
