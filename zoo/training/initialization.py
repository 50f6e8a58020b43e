"""What happens to a model before step 0: weights of another file, and parts that start from data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..data.batches import Shuffled, Source
from ..engine.randomness import reseed
from ..engine.runtime import Runtime
from ..errors import SpecError, UsageError
from ..event import Event, require_same_event
from ..format.header import read_header
from ..hub.address import is_address, read_address
from ..interfaces import Clock, DataDependent, Model
from ..run.directory import model_file
from ..share.tensors import restore_some
from ..spec import InitFrom, Spec, shipped_specs

EVERYTHING = "*"
EXAMPLES = 512
"""Data-dependent initialisation sees a batch, and at least this many examples where there are as many."""


@torch.no_grad()
def initialize(runtime: Runtime, source: Source, spec: Spec, clocks: Iterable[Clock]) -> None:
    """Let data-dependent parts, at any depth, see their input once."""
    parts = [module for module in runtime.model.modules() if isinstance(module, DataDependent)]
    if not parts:
        return
    data = Shuffled(source, max(spec.train.batch, min(EXAMPLES, len(source))), spec.train.seed)
    reseed(runtime.device, spec.train.seed, "initialize")
    batch = data.turn(0)
    data.close()
    hooks = [part.register_forward_pre_hook(_initialize) for part in parts]
    try:
        for clock in clocks:
            reseed(runtime.device, spec.train.seed, "initialize")
            runtime.model(runtime.arrange(batch), clock)
    finally:
        for hook in hooks:
            hook.remove()


def _initialize(module: Any, args: tuple[Any, ...]) -> None:
    module.initialize(*args)


def start_from(model: Model, spec: Spec) -> str | None:
    """Fill a model, or a part of it, from the share file that its spec names; the file's digest.

    `zoo.SpecError` with the line of ``init_from`` where the file is not there or does not fit.
    """
    start = spec.init_from
    if start is None:
        return None
    start = InitFrom(file=start) if isinstance(start, str) else start
    try:
        path = _found(start.file)
        header = read_header(path)
        restore_some(model, path, header, start.match, start.into)
        _require_same_data(model, start, header.event)
    except SpecError:
        raise
    except UsageError as error:
        raise SpecError(spec.problem("init_from", str(error))) from None
    return str(header.meta["digest"])


def _require_same_data(model: Model, start: InitFrom, event: Event) -> None:
    """UsageError where a whole model starts from one of other data; whoever names weights may mean that."""
    part = dict(model.named_modules()).get(start.into)
    if start.match == EVERYTHING and isinstance(part, Model):
        alike = replace(event, name=part.event.name, columns=None)
        require_same_event(part.event, alike, names=("this model", start.file))


def _found(file: str) -> Path:
    """The share file that ``init_from`` names; of a shipped spec's run that is missing, how to make it."""
    try:
        path = model_file(file)
    except UsageError as error:
        spec, name = Path(file).parent.name, Path(file).name
        remedy = f"; it is made by: zoo train {spec} --name {name}" if spec in shipped_specs() else ""
        raise UsageError(f"{error}{remedy}") from None
    if is_address(file) and not (address := read_address(file)).pinned:
        # Whatever is newest when the run is resumed would be something else.
        raise UsageError(f"{address} may move; write {address.at(path.parent.name)}, which cannot")
    return path


def starts_whole(spec: Spec) -> bool:
    """Whether all of a model starts from a file, and nothing of it from data."""
    start = spec.init_from
    if start is None or isinstance(start, str):
        return start is not None
    return start.match == EVERYTHING and not start.into
