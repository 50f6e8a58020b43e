"""Initialisation of a model before step 0: weights of another file, and data-dependent parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..assembly.parameters import filled_by
from ..data.batches import Shuffled, Source
from ..engine.randomness import reseed
from ..engine.runtime import Runtime
from ..errors import Problem, SpecError, UsageError
from ..event import Event, require_same_event
from ..format.header import Header, read_header
from ..format.metadata import Parents, as_parents
from ..hub.address import is_address, read_address
from ..interfaces import Clock, DataDependent, Model
from ..run.directory import model_file
from ..share.tensors import restore_some, untied
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


class Sources:
    """The share files that the model of a spec starts from; the header of each is read once."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._opened: dict[str, tuple[Path, Header]] = {}

    def fill(self, model: Model) -> Parents:
        """Fill a model, or parts of it, from the files; the digests of these files.

        `zoo.SpecError` with the line of each file in ``init_from`` that is not there or does not fit.
        """
        digests: list[str] = []
        problems: list[Problem] = []
        for path, source in self.spec.sources().items():
            try:
                digests.append(self._fill_from(model, source))
            except SpecError as error:
                problems += error.problems
            except UsageError as error:
                problems.append(self.spec.problem(path, str(error)))
        if problems:
            raise SpecError(problems)
        return as_parents(digests)

    def _fill_from(self, model: Model, source: InitFrom) -> str:
        if source.file not in self._opened:
            path = _found(source.file)
            self._opened[source.file] = path, read_header(path)
        path, header = self._opened[source.file]
        restore_some(model, path, header, source.match, source.into)
        _require_same_data(model, source, header.event)
        return str(header.meta["digest"])


def _require_same_data(model: Model, start: InitFrom, event: Event) -> None:
    """UsageError if a whole model is initialised from one of other data; named weights may be."""
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
        remedy = f"; train it with: zoo train {spec} --name {name}" if spec in shipped_specs() else ""
        raise UsageError(f"{error}{remedy}") from None
    if is_address(file) and not (address := read_address(file)).pinned:
        # Whatever is newest when the run is resumed would be something else.
        raise UsageError(f"{address} can change; write {address.at(path.parent.name)}, which cannot")
    return path


def starts_whole(model: Model, spec: Spec) -> bool:
    """Whether all of a model starts from files, and nothing of it from data."""
    sources = spec.sources().values()
    filled = {name for source in sources for name in filled_by(model, source)}
    return bool(sources) and untied(model)[0].keys() <= filled
