"""Spec -> Model, and the check that its parts fit: shapes are compared before data or memory is touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..document.nodes import Place
from ..engine.randomness import seeded
from ..errors import Problem, SpecError, UsageError, ZooError
from ..event import Event, require_same_event
from ..interfaces import (
    BatchStatistics,
    Causal,
    Clock,
    Contract,
    Metric,
    Model,
    RunningStatistics,
    Samples,
    Scores,
    Terms,
)
from ..interfaces.boundary import trusted
from ..interfaces.capabilities import drawn_entries, training_state
from ..interfaces.component import kind_of
from ..plot.entries import is_text, picture_problem
from ..registry.part import Part
from ..registry.registry import installed
from ..spec import Spec, load_spec
from .hooks import watched
from .imports import plain_imports
from .parameters import (
    averaged_names,
    check_after_step,
    check_frozen,
    check_groups,
    check_players,
    check_sources,
    freeze,
    names_of,
    trained_players,
)


@dataclass(frozen=True)
class PartRow:
    """One line of the table of parts."""

    path: str
    depth: int
    kind: str
    type: str
    takes: str
    gives: str
    parameters: int


@dataclass(frozen=True)
class PlayerRow:
    """Training settings of one player of a model."""

    name: str
    optimizer: str
    schedule: str | None
    clip: float | None
    updates: int
    every: int
    parameters: int


@dataclass(frozen=True)
class Summary:
    """Sizes of what a spec declares, computed without allocating it."""

    name: str
    event: Event
    parts: tuple[PartRow, ...]
    parameters: int
    weights_bytes: int
    training_bytes: int
    """Weights, gradients, Adam's moments, averaged weights, training state, and what backward keeps of one batch."""
    players: tuple[PlayerRow, ...]
    trained: int
    """Parameters that an optimizer moves."""
    frozen: int
    """Parameters that the spec freezes."""


def event_of(spec: Spec) -> Event:
    """The event of the spec's data; no data is read."""
    dataset = spec.data()
    try:
        event: Event = dataset.event
        if not len(event.shape):
            raise ValueError(f"the shape of '{event.name}' must have at least one size: [1] for a single number")
        return event
    except ValueError as error:
        raise SpecError(spec.data.problem(str(error))) from None


def require_data_of(model: Model, spec: Spec, metrics: Sequence[Part[Metric]] = ()) -> None:
    """UsageError unless the data of a spec fits a model, and has the entries that metrics need."""
    event, data = event_of(spec), f"data '{spec.data.name}'"
    needs = {*model.conditions}
    for part in metrics:
        for entry in part().needs:
            if entry not in event.entries:
                raise UsageError(f"metric '{part.name}' needs the {entry} of each example, and {data} has none")
            needs.add(entry)
    require_same_event(model.event, event, needs, (f"model '{spec.model.name}'", data))


def build(spec: Spec | str | os.PathLike[str] | Mapping[str, Any], event: Event | None = None) -> Model:
    """The model that a spec declares, on the CPU, with the weights that its seed gives.

    >>> import zoo
    >>> zoo.build("realnvp-2d").sample(3).shape
    torch.Size([3, 2])
    """
    spec = spec if isinstance(spec, Spec) else load_spec(spec)
    event = event or event_of(spec)
    with plain_imports(), seeded(torch.device("cpu"), spec.train.seed, "init"):
        return spec.model(event)


def check(spec: Spec) -> Summary:
    """Build a spec on the meta device, run it on two samples, and count; SpecError where a part does not fit.

    A component whose control flow needs values cannot run there; then all of it runs on the CPU.
    """
    event = event_of(spec)
    try:
        return _check_on(spec, event, "meta")
    except (SpecError, NotImplementedError) as error:
        if not _for_lack_of_values(error if isinstance(error, NotImplementedError) else error.__cause__):
            raise
        return _check_on(spec, event, "cpu")


class _Misfit(Exception):
    """A parent gave a child something other than it was declared for: the parent's fault."""


def _check_on(spec: Spec, event: Event, device: str) -> Summary:
    seen: dict[nn.Module, tuple[str, str]] = {}
    building = seeded(torch.device("cpu"), spec.train.seed, "check")
    with trusted(), torch.device(device), plain_imports(), building:
        model = spec.model(event)
        frozen = freeze(model, spec)
        kept = _Kept(model)
        batch = event.example(2, device)
        with watched(model, partial(_held, seen)):
            for player in model.players():
                clock = Clock(torch.zeros((), dtype=torch.int64), spec.train.steps, player.name)
                kept.run(partial(model, batch, clock))
        if isinstance(model, Scores):
            with watched(model, partial(_held, seen)), torch.no_grad():
                model.eval().log_prob(batch[event.name], model.given(batch))
        written = [*check_after_step(model, spec, frozen)]
    _check_uses(spec, model, written)
    carried = _bytes([*training_state(model).values()])
    weights = _bytes([*model.parameters(), *model.buffers()]) - carried
    named = dict(model.named_parameters())
    trained = [p for p in named.values() if p.requires_grad]
    averaged = [named[name] for name in averaged_names(model, spec)]
    return Summary(
        name=spec.name,
        event=event,
        parts=tuple(_rows(model, seen)),
        parameters=sum(p.numel() for p in model.parameters()),
        weights_bytes=weights,
        training_bytes=weights + carried + 3 * _bytes(trained) + _bytes(averaged) + kept.bytes // 2 * spec.train.batch,
        players=tuple(_player_rows(model, spec)),
        trained=sum(p.numel() for p in trained),
        frozen=sum(named[name].numel() for name in frozen.parameters),
    )


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def _player_rows(model: Model, spec: Spec) -> Iterator[PlayerRow]:
    named = dict(model.named_parameters())
    for one in trained_players(model, spec):
        player, schedule = one.player, one.schedule.name if one.schedule else None
        count = sum(named[name].numel() for name in names_of(model, player))
        yield PlayerRow(
            player.name, one.optimizer.name, schedule, one.clip, player.updates, player.every, parameters=count
        )


def _check_uses(spec: Spec, model: Model, found: Sequence[Problem]) -> None:
    """Metrics, parameter groups and players against the model that they are for."""
    problems = [*found, *check_metrics(model, spec.evaluate.metrics)]
    problems += check_pictures(model, spec)
    problems += check_views(model, spec)
    problems += check_sampler(model, spec)
    problems += check_batch_statistics(model)
    problems += check_batch_size(model, spec.train.batch)
    problems += check_frozen(model, spec)
    problems += check_sources(model, spec)
    problems += check_players(model, spec)
    problems += check_groups(model, spec)
    if problems:
        raise SpecError(problems)


def check_metrics(model: Model, metrics: list[Part[Metric]]) -> list[Problem]:
    """Metrics that this model cannot be measured by."""
    problems = []
    for metric in metrics:
        try:
            metric().check(model)
        except ValueError as error:
            problems.append(metric.problem(str(error)))
    return problems


def check_pictures(model: Model, spec: Spec) -> Iterator[Problem]:
    """Pictures while training, of a model that draws none."""
    if spec.train.sample_every is None:
        return
    if not isinstance(model, Samples):
        if not spec.train.views:
            yield Problem(None, "train.sample_every", f"model '{spec.model.name}' does not sample")
    elif (problem := picture_problem(entries := drawn_entries(model))) and not is_text(entries[model.event.name]):
        yield Problem(None, "train.sample_every", problem)


def check_views(model: Model, spec: Spec) -> Iterator[Problem]:
    """Views that say they are not of this model."""
    for view in spec.train.views:
        try:
            view(model)
        except SpecError as error:
            # Whatever else went wrong may be for lack of values.
            if not isinstance(error.__cause__, ValueError):
                raise
            yield from error.problems


def check_sampler(model: Model, spec: Spec) -> Iterator[Problem]:
    """A way of drawing that is not of this model."""
    way = spec.sample.way
    if way is not None:
        try:
            way(model)
        except SpecError as error:
            if not isinstance(error.__cause__, ValueError):
                raise
            yield from error.problems


def check_batch_statistics(model: nn.Module) -> Iterator[Problem]:
    """SpecError for parts of causal models that use batch statistics, by which examples affect each other."""
    for causal in (module for module in model.modules() if isinstance(module, Causal)):
        modules = dict(causal.named_modules())
        for path, module in modules.items():
            if isinstance(module, (_BatchNorm, RunningStatistics)):
                text = f"{type(module).__name__} computes batch statistics, so examples depend on each other"
                yield _declared_above(modules, path).problem(f"{text}; not allowed in a causal model")


def check_batch_size(model: nn.Module, batch: int) -> Iterator[Problem]:
    """SpecError for parts that compare the examples of a batch, if the batch is too small for them."""
    modules = dict(model.named_modules())
    for path, module in modules.items():
        least = module.least_batch if isinstance(module, BatchStatistics) else 2 * isinstance(module, _BatchNorm)
        if batch < least:
            text = f"its training compares the examples of a batch: train.batch must be at least {least}, got {batch}"
            yield _declared_above(modules, path).problem(text)


def _declared_above(modules: Mapping[str, nn.Module], path: str) -> Part[Any]:
    """The declaration of a module, or of the nearest one that it is a part of."""
    above: Part[Any] | None = getattr(modules[path], "declaration", None)
    return _declared_above(modules, path.rpartition(".")[0]) if above is None else above


class _Kept:
    """Counter of the memory that autograd saves for the backward pass, each storage once and without parameters."""

    def __init__(self, model: nn.Module) -> None:
        self.seen = {p.untyped_storage()._cdata for p in model.parameters()}
        self.alive: list[Tensor] = []
        self.bytes = 0

    def run(self, forward: Callable[[], Terms]) -> None:
        """Count what a forward pass saves: by hooks, or by its graph where it has derivatives of `torch.func`, which
        refuses hooks.
        """
        try:
            with torch.autograd.graph.saved_tensors_hooks(self.count, lambda x: x):
                forward()
        except (SpecError, RuntimeError) as error:
            if "saved tensor hooks" not in str(error):
                raise
            self.count_graph(forward().loss)

    def count_graph(self, loss: Tensor) -> None:
        """Count what the nodes of a graph have saved."""
        nodes, passed = [loss.grad_fn], set()
        while nodes:
            node = nodes.pop()
            if node is None or node in passed:
                continue
            passed.add(node)
            nodes += [following for following, _ in node.next_functions]
            for name in dir(node):
                if name.startswith("_saved_") and isinstance(x := getattr(node, name), Tensor):
                    self.count(x)

    def count(self, x: Tensor) -> Tensor:
        key = x.untyped_storage()._cdata
        if key not in self.seen:
            self.seen.add(key)
            self.alive.append(x)  # or the address is used again
            self.bytes += x.untyped_storage().nbytes()
        return x


def _held(
    seen: dict[nn.Module, tuple[str, str]], module: Any, method: Callable[..., Any], contract: Contract
) -> Callable[..., Any]:
    """A part's method, held to its contract; errors name the part's line."""
    declared: Part[Any] = module.declaration

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        if args and (complaint := contract.takes(module, args)):
            raise _Misfit(f"passes {declared.kind} '{declared.name}' an input of the wrong form: {complaint}")
        try:
            result = method(*args, **kwargs)
        except ZooError:
            raise
        except _Misfit as misfit:
            raise SpecError(declared.problem(str(misfit))) from None
        except Exception as error:
            raise SpecError(declared.failure(error)) from error
        if complaint := contract.gives(module, result):
            raise SpecError(declared.problem(complaint))
        seen.setdefault(module, (_form(args[0]) if args else "", _form(result)))
        return result

    return call


def _for_lack_of_values(error: BaseException | None) -> bool:
    """Whether this is the meta device's way to say that a tensor has no values."""
    text = str(error)
    return isinstance(error, NotImplementedError) or "meta" in text or "_local_scalar_dense" in text


def _form(value: Any) -> str:
    """The shape of an input or output, without the batch."""
    if isinstance(value, tuple) and value:
        value = value[0]
    return "x".join(map(str, value.shape[1:])) if isinstance(value, Tensor) and value.dim() > 1 else ""


def _rows(model: nn.Module, seen: dict[nn.Module, tuple[str, str]]) -> Iterator[PartRow]:
    declared = {name: m for name, m in model.named_modules() if getattr(m, "declaration", None) is not None}
    for name, module in declared.items():
        above = sum(1 for other in declared if other != name and (not other or name.startswith(f"{other}.")))
        declaration: Part[Any] = module.declaration
        takes, gives = seen.get(module, ("", ""))
        count = sum(p.numel() for p in module.parameters())
        place: Place = declaration.place
        kind = installed().label(kind_of(declaration.cls))
        yield PartRow(place.path or name, above, kind, declaration.name, takes, gives, count)
