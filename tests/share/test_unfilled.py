"""A model for a file to fill: nothing is drawn that the file brings, and nothing is wrong that it does not bring."""

from __future__ import annotations

import importlib
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from declared_model import declared
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import zoo
from zoo.assembly import build as assembly
from zoo.format.header import Header, TensorEntry
from zoo.share import budget, skip_init
from zoo.share.budget import Budget
from zoo.share.skip_init import build_unfilled


class Holder(nn.Module):
    """Keeps what it is given: parameters, buffers (``c_`` is not persistent), and plain values."""

    def __init__(self, **values: Any) -> None:
        super().__init__()
        for name, value in values.items():
            if name.startswith(("b_", "c_")):
                self.register_buffer(name, value, persistent=name.startswith("b_"))
            else:
                setattr(self, name, value)


def drawn(*sizes: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*sizes) * 0.02)


def orthogonal(module: nn.Linear) -> nn.Module:
    nn.init.orthogonal_(module.weight)
    return module


def own() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def mixed() -> nn.Module:
    constant = torch.ones(3)
    torch._foreach_add_([constant], [torch.randn(3)])
    return Holder(net=nn.Linear(2, 2), c_at=constant)


def derived() -> nn.Module:
    inner = nn.Linear(3, 3)
    return Holder(inner=inner, c_start=inner.weight.detach().clone())


def seen_twice() -> nn.Module:
    inner = nn.Linear(3, 3)
    return Holder(inner=inner, rows=inner.weight.detach()[:2], again=[inner.bias.detach()])


def until_small() -> nn.Module:
    weight = nn.Parameter(torch.empty(8))
    while nn.init.normal_(weight).abs().max() > 1.5:
        pass
    return Holder(weight=weight)


LEAN: dict[str, Callable[[], nn.Module]] = {
    "layers": lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Embedding(5, 3), nn.LSTM(3, 4)),
    "attention": lambda: nn.TransformerEncoderLayer(8, 2, 16),
    "zeros after draws": lambda: Holder(w=nn.Parameter(nn.init.zeros_(nn.init.normal_(torch.empty(9))))),
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(3, 4)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(3, 4)),
    "orthogonal": lambda: orthogonal(nn.Linear(3, 4)),
    "a factory's draws": lambda: Holder(w=drawn(3, 4)),
    "a persistent draw": lambda: Holder(b_w=torch.rand(3)),
    "a draw into a view": lambda: Holder(w=nn.Parameter(torch.zeros(4, 2)), b_x=torch.zeros(3)[1:].normal_()),
    "turned in place": lambda: Holder(w=nn.Parameter(torch.empty(2, 3).normal_().t_())),
    "constants": lambda: Holder(net=nn.Linear(2, 2), c_mask=torch.arange(6.0).reshape(2, 3), plain=torch.ones(2)),
    "a generator of its own": lambda: Holder(net=nn.Linear(2, 2), c_at=torch.randperm(9, generator=own())),
    "views of what is filled": seen_twice,
}
FULL: dict[str, Callable[[], nn.Module]] = {
    "a buffer that is not stored": lambda: Holder(net=nn.Linear(2, 2), c_at=torch.randn(3)),
    "a plain attribute": lambda: Holder(net=nn.Linear(2, 2), at=torch.randn(3)),
    "an attribute in a list": lambda: Holder(net=nn.Linear(2, 2), at=[{"x": torch.randn(3)}]),
    "an order": lambda: Holder(net=nn.Linear(2, 2), order=torch.randperm(9).tolist()),
    "a choice": lambda: Holder(net=nn.Linear(2, 2), c_at=torch.empty(4, dtype=torch.int64).random_(9)),
    "a number": lambda: Holder(net=nn.Linear(2, 2), scale=torch.rand(()).item()),
    "derived from parameters": derived,
    "drawn until it suits": until_small,
    "how many": lambda: Holder(net=nn.Linear(2, 2), count=len((torch.rand(9) > 0.5).nonzero())),
    "mixed into many constants": mixed,
    "mixed into a constant": lambda: Holder(net=nn.Linear(2, 2), c_at=torch.ones(3).add_(torch.randn(3))),
}


def kept(model: nn.Module) -> dict[str, Any]:
    """What a file does not bring: buffers that are not stored, and plain values."""
    stored = model.state_dict()
    found: dict[str, Any] = {name: value for name, value in model.named_buffers() if name not in stored}
    own = {name: value for name, value in vars(model).items() if not name.startswith("_")}
    return found | {name: value for name, value in own.items() if name != "training"}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return all(same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


def header(numbers: int) -> Header:
    """That of a file with one tensor of float32."""
    entry = TensorEntry("F32", (numbers,), 0, 4 * numbers)
    return Header({"w": entry}, {}, 8, zoo.Event("point", zoo.Shape(2)), {})


def builds(make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> tuple[nn.Module, nn.Module, int]:
    """A model built in full, one built for a file, and how often the latter was built in full after all."""
    build = Mock(wraps=assembly.build)
    monkeypatch.setattr(skip_init, "build", build)
    spec, told = declared(make), header(0)
    return assembly.build(spec, told.event), build_unfilled(spec, told), build.call_count


@pytest.mark.parametrize("make", LEAN.values(), ids=LEAN)
def test_nothing_is_drawn(make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.random.get_rng_state()
    whole, lean, full = builds(make, monkeypatch)
    assert full == 0
    shapes = [{name: (x.shape, x.dtype, x.stride()) for name, x in m.state_dict().items()} for m in (whole, lean)]
    assert shapes[0] == shapes[1]
    assert [p.requires_grad for p in whole.parameters()] == [p.requires_grad for p in lean.parameters()]
    lean.load_state_dict(whole.state_dict())
    assert all(same(value, kept(lean)[name]) for name, value in kept(whole).items())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("make", FULL.values(), ids=FULL)
def test_what_depends_on_draws_is_drawn(make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    whole, lean, full = builds(make, monkeypatch)
    assert full == 1
    assert kept(whole).keys() == kept(lean).keys()
    assert all(same(value, kept(lean)[name]) for name, value in kept(whole).items())


# -- what building may take --------------------------------------------------------------------------------------------

GIBIBYTE = 1 << 28
"""In numbers of float32."""


def drawn_and_zeroed() -> nn.Module:
    """As a layer that starts at zero is made."""
    return Holder(w=nn.Parameter(nn.init.zeros_(nn.init.normal_(torch.empty(GIBIBYTE)))))


@pytest.mark.parametrize(
    "make", [lambda: Holder(w=nn.init.normal_(nn.Parameter(torch.empty(GIBIBYTE)))), drawn_and_zeroed]
)
def test_memory_is_not_taken_before_it_is_filled(make: Callable[[], nn.Module]) -> None:
    before = resident()
    model: Any = build_unfilled(declared(make), header(GIBIBYTE))
    assert model.w.numel() == GIBIBYTE
    assert resident() - before < 64 << 20


def without_end() -> nn.Module:
    layers: list[nn.Module] = []
    while True:
        layers.append(nn.Linear(1, 1))


def calls_without_end() -> nn.Module:
    order: list[int] = []
    while True:
        order.append(len(order))
        order.clear()


class Finalized:
    """Whose end takes longer than its life, where an exception would be lost."""

    def __del__(self) -> None:
        for _ in range(100):
            len("")


def finalizers_without_end() -> nn.Module:
    while True:
        Finalized()
        len("")


class Block:
    """Says whether it was left."""

    inside = 0

    def __enter__(self) -> None:
        self.inside += 1

    def __exit__(self, *raised: object) -> None:
        str(raised)
        self.inside -= 1


@pytest.mark.parametrize("steps", range(100, 300, 3))
def test_what_a_component_enters_is_left(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever in a block, or on the way into it or out of it, the build is ended."""
    monkeypatch.setattr(budget, "STEPS", steps)
    block, lock, dtype = Block(), Lock(), torch.get_default_dtype()

    @contextmanager
    def doubles() -> Iterator[None]:
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            len("")
            torch.set_default_dtype(dtype)

    def make() -> nn.Module:
        while True:
            with torch.no_grad(), block, doubles(), lock:
                len("")

    with pytest.raises(zoo.SpecError, match="far more work"):
        build_unfilled(declared(make), header(0))
    assert torch.is_grad_enabled()
    assert not block.inside
    assert not lock.locked()
    assert torch.get_default_dtype() == dtype


def wide(*sizes: int) -> Tensor:
    """A number that looks like many."""
    return torch.ones(1, 1).expand(*sizes)


def piece_by_piece() -> nn.Module:
    pieces: list[Tensor] = []
    while True:
        pieces.append(torch.ones(1 << 16) + 1.0)


def after_a_draw() -> nn.Module:
    """What needs a draw is built in full: that has a bound of its own."""
    return Holder(at=torch.rand(()).item(), w=nn.init.normal_(torch.empty(GIBIBYTE)))


MEMORY = "far more memory"
BOMBS = {
    "layers without end": (without_end, "far more work"),
    "calls without end": (calls_without_end, "far more work"),
    "finalizers without end": (finalizers_without_end, "far more work"),
    "each to each": (lambda: Holder(c_at=wide(1, 1 << 21) > wide(1 << 21, 1)), MEMORY),
    "repeated": (lambda: Holder(c_at=torch.ones(9).repeat(1 << 40)), MEMORY),
    "padded": (lambda: Holder(c_at=nn.functional.pad(torch.ones(9), (0, 1 << 40))), MEMORY),
    "as large as another": (lambda: Holder(c_at=torch.ones(1).expand(1 << 40).clone()), MEMORY),
    "a product": (lambda: Holder(c_at=wide(1 << 21, 1) @ wide(1, 1 << 21)), MEMORY),
    "a window": (lambda: Holder(c_at=torch.hann_window(1 << 40)), MEMORY),
    "a constant": (lambda: Holder(c_at=torch.zeros(1 << 40)), MEMORY),
    "a parameter": (lambda: Holder(w=nn.Parameter(torch.empty(1 << 33))), MEMORY),
    "a range": (lambda: Holder(c_at=torch.arange(1 << 40)), MEMORY),
    "an interval": (lambda: Holder(c_at=torch.arange(0, 1 << 40, 2)), MEMORY),
    "a line": (lambda: Holder(c_at=torch.linspace(0, 1, 1 << 40)), MEMORY),
    "a square": (lambda: Holder(c_at=torch.eye(1 << 20)), MEMORY),
    "an order": (lambda: Holder(c_at=torch.randperm(1 << 40, generator=own())), MEMORY),
    "piece by piece": (piece_by_piece, MEMORY),
    "built in full": (after_a_draw, MEMORY),
}


@pytest.mark.parametrize(("make", "message"), BOMBS.values(), ids=BOMBS)
def test_a_model_out_of_proportion_to_its_file(
    make: Callable[[], nn.Module], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "BYTES", 1 << 20)
    before = resident()
    with pytest.raises(zoo.SpecError, match=f"takes {message} to build than the tensors of its file justify"):
        build_unfilled(declared(make), header(1000))
    assert resident() - before < 64 << 20


def test_tensors_without_numbers_explain_nothing() -> None:
    empty = {f"t{i}": TensorEntry("F32", (0,), 0, 0) for i in range(1000)}
    assert Budget(empty).steps == Budget({}).steps < Budget(header(1).tensors).steps


def test_what_is_imported_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "STEPS", 0)
    monkeypatch.delitem(sys.modules, "pstats", raising=False)

    def make() -> nn.Module:
        importlib.import_module("pstats")
        return Holder()

    build_unfilled(declared(make), header(1))


def test_a_profiler_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def profiler(frame: object, event: str, argument: object) -> None:
        calls.append(event)

    def make() -> nn.Module:
        assert sys.getprofile() is profiler
        return Holder()

    sys.setprofile(profiler)
    try:
        build_unfilled(declared(make), header(1))
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
    build_unfilled(declared(Holder), header(1))
    assert sys.getprofile() is None


def test_what_is_freed_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "BYTES", 1 << 20)

    def make() -> nn.Module:
        for _ in range(50):
            torch.ones(1 << 16).add(1.0)
        return Holder(w=nn.Parameter(torch.ones(1 << 17)))

    assert build_unfilled(declared(make), header(0)).get_parameter("w").numel() == 1 << 17


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
