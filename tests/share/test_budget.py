"""What a share file's declaration may cost before it is refused, for every component, and that sound models fit."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from typing import Annotated, Any

import pytest
import torch
from declared_model import declared
from pydantic import PositiveInt
from torch.utils._python_dispatch import TorchDispatchMode

import zoo
from zoo.assembly import build as assembly
from zoo.format.header import Header, TensorEntry
from zoo.interfaces.component import Component, kind_name, kind_of
from zoo.registry.part import Part, example_of, parameters_of, part_of
from zoo.registry.registry import declare, installed
from zoo.registry.shipped import shipped_specs
from zoo.share import budget, tensors
from zoo.share.budget import Bounded, Budget, judge_sizes, tensors_in
from zoo.share.skip_init import build_unfilled
from zoo.spec.spec import parts_in
from zoo.testing.cases import cases

LARGE = (100_000, 2**31)
LARGEST = ("made", "pixelcnnpp-cifar10")
"""Of all shipped models those that take most for what their file holds."""
NOTHING = Header({}, {}, 8, zoo.Event("point", zoo.Shape(2)), {})
STRANGE = 1 << 23
"""How much of Python's memory, and how many of torch's numbers, a build may take beside what its budget counts."""


def entries(model: zoo.Model) -> dict[str, TensorEntry]:
    return tensors.lay_out(tensors.untied(model)[0])


@pytest.mark.parametrize("name", shipped_specs())
def test_a_sound_model_takes_half_of_its_budget_at_most(name: str) -> None:
    spec = zoo.load_spec(name, small=name not in LARGEST, say=lambda message: None)
    event = assembly.event_of(spec)
    held = entries(assembly.build(spec, event))
    allowed = Budget(held)
    steps, allowed._bytes = allowed.steps, allowed._bytes // 2
    with Bounded(allowed):
        spec.model(event)
    assert allowed.steps > steps / 2
    judge_sizes(spec, event, held)


# -- every number of every component -----------------------------------------------------------------------------------


Host = tuple[Part[zoo.Model], zoo.Event, int]
"""A model, what it is of, and which of its parts, parents first, is the one to change."""


@cache
def hosts() -> dict[type[Component], Host]:
    """For every component that a shipped model is made of the smallest of these models."""
    found: dict[type[Component], Host] = {}
    specs = [zoo.load_spec(name, small=True, say=lambda message: None) for name in shipped_specs()]
    for spec in sorted(specs, key=lambda spec: len(list(parts_in(spec.model)))):
        for index, part in enumerate(parts_in(spec.model)):
            found.setdefault(part.cls, (spec.model, assembly.event_of(spec), index))
    return found


def builds(cls: type[Component], key: str, value: int) -> Iterator[Callable[[], Any]]:
    """Ways to build a component with this value of a parameter; none where it is no value of it."""
    own = {"type": installed().name_of(cls), **example_of(cls)}
    alike = [host for other, host in hosts().items() if kind_of(other) is kind_of(cls)]
    try:
        for host in [hosts()[cls]] if cls in hosts() else alike[:1]:
            model, event, index = host
            node = model.resolved()
            part = list(_nodes(node))[index]
            if cls not in hosts():
                part.clear()
                part.update(own)
            part[key] = value
            changed = declare(zoo.Model, node)
            yield partial(changed, event)
            return
        declare(kind_of(cls), own | {key: value})
    except zoo.SpecError:
        return
    for case in cases(kind_of(cls)):
        if case.part.cls is cls:
            yield partial(declare(kind_of(cls), own | {key: value}), *case.given)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """The declarations in a resolved one, in the order of its parts."""
    if isinstance(value, dict) and "type" in value:
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _nodes(inner)


class Numbers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the numbers that operations make, and those that products multiply."""

    count = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._schema.name != "aten::empty" and not func.is_view:
            deep = args[0].shape[-1] if func._schema.name in ("aten::mm", "aten::bmm", "aten::linalg_qr") else 1
            self.count += deep * sum(tensor.numel() for tensor in tensors_in([result]))
        return result


def reached() -> Iterator[type[Component]]:
    """Every component that a model can be made of."""
    kinds: set[Any] = {zoo.Model}
    components = list(installed().components().values())
    while True:
        inside = [cls for cls in components if kind_of(cls) in kinds]
        found = {kind for cls in inside for kind in _kinds_in(cls)}
        if found <= kinds:
            return iter(inside)
        kinds |= found


def _kinds_in(cls: type[Component]) -> Iterator[type[Component]]:
    def inside(annotation: Any) -> Iterator[Any]:
        if getattr(annotation, "__origin__", None) is Part:
            yield annotation.__args__[0]
        for inner in getattr(annotation, "__args__", ()):
            yield from inside(inner)

    for info in parameters_of(cls).model_fields.values():
        yield from (kind if Component in kind.__bases__ else kind_of(kind) for kind in inside(info.annotation))


REACHED = list(reached())


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """What components import when they are first built: it takes long while memory is traced."""
    for name in ("torch._dynamo", "torchdiffeq"):
        import_module(name)


@pytest.mark.parametrize("cls", REACHED, ids=[f"{kind_name(kind_of(c))}-{installed().name_of(c)}" for c in REACHED])
def test_a_large_number_costs_little(cls: type[Component], monkeypatch: pytest.MonkeyPatch) -> None:
    """A parameter that is set to one is refused before work is done that the budget does not know of."""
    monkeypatch.setattr(budget, "STEPS", 30_000)
    monkeypatch.setattr(budget, "BYTES", 1 << 22)
    for name, info in parameters_of(cls).model_fields.items():
        for value in LARGE:
            for make in builds(cls, info.alias or name, value):
                costs_little(make)


def costs_little(make: Callable[[], Any]) -> None:
    # What the first of two imports, it does not have to take again.
    assert taken(make) < STRANGE or taken(make) < STRANGE


def taken(make: Callable[[], Any]) -> int:
    """How much of Python's memory and how many of torch's numbers it takes to build something for an empty file."""
    spec = declared(make)
    tracemalloc.start()
    try:
        with Numbers() as made, suppress(zoo.SpecError):  # type: ignore[no-untyped-call]
            build_unfilled(spec, NOTHING)
        return max(int(made.count), tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


# -- what neither calls anything nor asks torch ------------------------------------------------------------------------


@zoo.component("planted_list")
class Listed(zoo.Distribution):
    """Makes a list as long as a parameter says, without a call."""

    def __init__(
        self,
        shape: zoo.Shape,
        *,
        size: PositiveInt = 1,
        sizes: dict[str, list[PositiveInt]] | None = None,
        seed: Annotated[PositiveInt, zoo.NOT_A_SIZE] | None = None,
    ) -> None:
        super().__init__(shape)
        self.order = [0] * max(size, *(max(each) for each in (sizes or {}).values()), 1)

    def log_prob(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        return x.flatten(1).sum(1)

    def sample(self, n: int, context: torch.Tensor | None = None, temperature: float = 1.0) -> torch.Tensor:
        return torch.zeros(n, *self.shape)


def flow_with(**values: Any) -> zoo.Spec:
    base = part_of(installed(), Listed, "planted_list", values)
    model = zoo.declare(zoo.Model, {"type": "flow", "base": base, "transforms": ["act_norm"]})
    return zoo.load_spec("realnvp-2d").model_copy(update={"model": model})


@pytest.mark.parametrize("values", [{"size": 2**40}, {"sizes": {"a": [1, 2**40]}}], ids=str)
def test_a_size_beyond_all_that_the_file_holds(values: dict[str, Any]) -> None:
    with pytest.raises(zoo.SpecError, match=r"'sizes?' is 1,099,511,627,776: .* allow at most 4,194,304"):
        build_unfilled(flow_with(**values), NOTHING)


def test_what_is_not_a_size_may_be_any_number() -> None:
    build_unfilled(flow_with(seed=2**60, size=budget.SIZE), NOTHING)


@pytest.mark.parametrize(
    "values",
    [{"shape": zoo.Shape(2**16, 2**12)}, {"levels": 2**31}, {"features": 2**31}, {"factors": {"a": 2**31}}],
    ids=str,
)
def test_an_event_beyond_all_that_the_file_holds(values: dict[str, Any]) -> None:
    event = replace(NOTHING.event, **values)
    with pytest.raises(zoo.SpecError, match=f"event  '{next(iter(values))}' is .* at most 4,194,304"):
        build_unfilled(flow_with(), replace(NOTHING, event=event))
