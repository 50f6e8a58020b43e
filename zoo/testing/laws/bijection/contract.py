"""Laws of bijections: batches, state, statistics, dtypes, extreme values, the meta device and compilation."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ....interfaces.bijection import Bijection
from ....interfaces.capabilities import DataDependent, RunningStatistics
from ...errors import LawBroken, distance, require, require_event, require_per_sample
from ...perturb import perturb
from ...with_context import GivenBijection


@torch.no_grad()
def samples_are_independent(bijection: Bijection, x: Tensor) -> None:
    """In evaluation mode each sample of a batch of any size gets the same result as alone."""
    z, log_det = bijection(x)
    require_event("z of forward", z, len(x), bijection.out_shape)
    require_per_sample("log_det of forward", log_det, len(x))
    for size in (1, 3):
        _compare("forward", bijection(x[:size]), (z[:size], log_det[:size]))
        back = bijection.inverse(z[:size])
        require_event("x of inverse", back[0], size, bijection.shape)
        require_per_sample("log_det of inverse", back[1], size)


def _compare(name: str, alone: tuple[Tensor, Tensor], among: tuple[Tensor, Tensor]) -> None:
    for what, a, b in zip(("z", "log_det"), alone, among, strict=True):
        require(
            a.shape == b.shape and distance(a, b) <= 1e-10 * max(1.0, float(b.abs().max())),
            f"{what} of {name} depends on the rest of the batch: keep the batch dimension apart from the event's",
        )


@torch.no_grad()
def state_is_complete(bijection: Bijection, x: Tensor) -> None:
    """A component of the same declaration gives the very same numbers once it has loaded the state."""
    other = _another(bijection)
    perturb(other, seed=1)
    other.load_state_dict(bijection.state_dict())
    for ours, theirs in zip(bijection(x), other(x), strict=True):
        require(
            torch.equal(ours, theirs),
            "the state dictionary does not restore the outputs: register what forward uses as a parameter or a "
            "persistent buffer",
        )


def _another(bijection: Bijection) -> Bijection:
    """The component built again with other random numbers: only its declaration is the same."""
    if isinstance(bijection, GivenBijection):
        return GivenBijection(_another(bijection.of), torch.zeros_like(bijection.context)).eval()
    declared = bijection.__dict__.get("declaration")
    if declared is None:
        other = copy.deepcopy(bijection)
        for buffer in other.buffers():
            buffer.add_(1)
        return other
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        built: Bijection = declared(bijection.shape)
    return built.to(next(bijection.parameters(), torch.zeros((), dtype=torch.float64)).dtype).eval()


SCALES = (1e-30, 1.0, 2e19)
STARTED = 1e-4


@torch.no_grad()
def forward_keeps_state(bijection: Bijection, x: Tensor) -> None:
    """``forward`` changes no parameter, in training mode neither; buffers only in training mode, and only those of a
    part with running statistics. Data-dependent parts start in ``initialize`` and nowhere else."""
    for training in (False, True):
        part = copy.deepcopy(bijection).train(training)
        averaged = averages(part) if training else set()
        before = {name: value.clone() for name, value in part.state_dict().items()}
        part(3.0 * x if bijection.domain is None else x)
        for name, value in part.state_dict().items():
            require(
                name in averaged or torch.equal(value, before[name]),
                f"forward changes '{name}': start parameters in initialize (zoo.DataDependent), average only in "
                "training mode and in buffers (zoo.RunningStatistics)",
            )


@torch.no_grad()
def starts_at_any_scale(bijection: Bijection, x: Tensor) -> None:
    """A part that starts from data in float32 starts as it does in float64, whether the data is of 1e-30 or 2e19: the
    squares of neither are numbers of float32."""
    if not isinstance(bijection, DataDependent):
        return
    for scale in SCALES:
        data = (scale * x).float()
        (z, log_det), (fine, fine_log_det) = (_started(bijection, d) for d in (data, data.double()))
        error = distance(z.double(), fine) / float(fine.abs().max().clamp(min=1.0))
        error += distance(log_det.double(), fine_log_det) / (x[0].numel() * max(1.0, abs(math.log(scale))))
        require(
            error <= STARTED,
            f"started from data of {scale:g} in float32, z and log_det are off by {error:.3g} from those in float64: "
            "take statistics in float64",
        )


def _started(bijection: Bijection, data: Tensor) -> tuple[Tensor, Tensor]:
    part = copy.deepcopy(bijection).to(data.dtype)
    part.initialize(data)  # type: ignore[operator]
    z, log_det = part(data)
    return z, log_det


@torch.no_grad()
def reset_forgets(bijection: Bijection, x: Tensor) -> None:
    """After ``reset`` two batches count equally, whatever came before and in whichever order they come."""
    if not any(isinstance(part, RunningStatistics) for part in bijection.modules()):
        return
    first, second = x[: len(x) // 2], x[len(x) // 2 :]
    one, other = (_averaged(bijection, order) for order in ((first, second), (second, first)))
    for name, value in one.items():
        require(
            distance(value.double(), other[name].double()) <= 1e-9,
            f"'{name}' depends on the order of the batches after reset, or on what came before it: clear all state in "
            "reset, and weight the first batches by one over their number",
        )


def _averaged(bijection: Bijection, batches: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    part = copy.deepcopy(bijection).train()
    part(batches[0])
    _reset(part)
    for batch in batches:
        part(batch)
    return {name: part.state_dict()[name] for name in averages(part)}


def _reset(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, RunningStatistics):
            part.reset()


def averages(module: nn.Module) -> set[str]:
    """The buffers that are of running statistics, by their names in the state."""
    found: set[str] = set()
    for path, part in module.named_modules():
        if isinstance(part, RunningStatistics):
            found |= {f"{path}.{name}".lstrip(".") for name, _ in part.named_buffers()}  # type: ignore[attr-defined]
    return found & module.state_dict().keys()


@torch.no_grad()
def dtype_follows(bijection: Bijection, x: Tensor) -> None:
    """A component in float32 or float64 answers in that precision, both ways."""
    for dtype in (torch.float32, torch.float64):
        part = copy.deepcopy(bijection).to(dtype)
        z, there = part(x.to(dtype))
        back, home = part.inverse(z)
        found = {str(value.dtype) for value in (z, there, back, home)}
        require(
            found == {str(dtype)},
            f"in {dtype} the outputs are {', '.join(sorted(found))}: create tensors in the dtype of the input",
        )


@torch.no_grad()
def log_det_survives_autocast(bijection: Bijection, x: Tensor) -> None:
    """Under bfloat16 autocast z and log_det stay in float32, and log_det is that of the z that was computed."""
    part = copy.deepcopy(bijection).float()
    with torch.autocast("cpu", torch.bfloat16):
        z, log_det = part(x.float())
        back, home = part.inverse(z)
    require_per_sample("log_det of forward under autocast", log_det, len(x))
    require_per_sample("log_det of inverse under autocast", home, len(x))
    require(
        z.dtype == back.dtype == torch.float32,
        f"under autocast the outputs are {z.dtype} and {back.dtype}: cast what a network returns to the input's dtype",
    )
    error = distance(log_det, -home)
    require(
        error <= 0.05 * max(1.0, float(log_det.abs().max())),
        f"under autocast the log_dets of forward and inverse differ by {error:.3g}: sum the log-scales in float32",
    )


Direction = Callable[[Tensor], tuple[Tensor, Tensor]]
FAR = (0.0, 1e-30, 1.0, -30.0, 300.0)
WILD = 3.0
BEYOND = 100.0


def stays_finite(bijection: Bijection, x: Tensor) -> None:
    """With parameters far from their start, on points in the far tails, at zero and on the edges of the domain, both
    ways give finite numbers with finite gradients, in float64 and float32."""
    for dtype in (torch.float64, torch.float32):
        part = copy.deepcopy(bijection).to(dtype)
        perturb(part, seed=3, scale=WILD)
        for at in _far(part, x.to(dtype)):
            z = _finite("forward", part, part.forward, at)
            _finite("inverse", part, part.inverse, z)


def nothing_beyond_the_domain(bijection: Bijection, x: Tensor) -> None:
    """A sample far beyond the domain has ``log_det`` minus infinity and a finite z, in float64 and float32; other
    samples, and all gradients of the batch's log-density, are finite."""
    if bijection.domain is None:
        return
    low, high = bijection.domain
    for dtype in (torch.float64, torch.float32):
        part = copy.deepcopy(bijection).to(dtype)
        at = x[:3].to(dtype).clone()
        at[1].view(-1)[0], at[2].view(-1)[-1] = low - BEYOND * (high - low), high + BEYOND * (high - low)
        at.requires_grad_()
        z, log_det = part(at)
        require(
            z.isfinite().all() and log_det[0].isfinite() and (log_det[1:] == -math.inf).all(),
            f"beyond the domain, [{low:g}, {high:g}], log_det is {log_det[1:].tolist()} in {dtype}: it should be -inf "
            "there, with a finite z (torch.where, before the logarithm)",
        )
        total = log_det.sum() - 0.5 * z.square().sum()
        for gradient in torch.autograd.grad(total, [at, *part.parameters()], allow_unused=True):
            require(gradient is None or gradient.isfinite().all(), "a sample beyond the domain makes gradients NaN")


def _far(bijection: Bijection, x: Tensor) -> list[Tensor]:
    ends = FAR if bijection.domain is None else bijection.domain
    return [torch.full_like(x[:2], end) for end in ends] + [10.0 * x[:2] if bijection.domain is None else x[:2]]


def _finite(name: str, part: Bijection, direction: Direction, at: Tensor) -> Tensor:
    x = at.detach().clone().requires_grad_()
    y, log_det = direction(x)
    where = f"at {at.flatten()[0].item():.3g} in {at.dtype}"
    require(y.isfinite().all() and log_det.isfinite().all(), f"{name} is not finite {where}")
    wanted = [x, *(p for p in part.parameters() if p.requires_grad)]
    weights = torch.linspace(-1.0, 1.0, y.numel(), dtype=y.dtype).view_as(y)
    total = (weights * y).sum() + log_det.sum()
    if not total.requires_grad:
        return y.detach()
    for gradient in torch.autograd.grad(total, wanted, allow_unused=True):
        require(gradient is None or gradient.isfinite().all(), f"the gradient of {name} is not finite {where}")
    return y.detach()


@torch.no_grad()
def runs_on_meta(bijection: Bijection, x: Tensor) -> None:
    """Both ways run on the meta device, where a spec's shapes are checked before any memory is touched."""
    part = copy.deepcopy(bijection).to("meta")
    try:
        z, log_det = part(x.to("meta"))
        back, _ = part.inverse(z)
    except (NotImplementedError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise LawBroken(f"it does not run on the meta device: do not read tensor values ({reason})") from None
    require_event("z on the meta device", z, len(x), bijection.out_shape)
    require_event("x of inverse on the meta device", back, len(x), bijection.shape)
    require_per_sample("log_det on the meta device", log_det, len(x))


@torch.no_grad()
def compiles(bijection: Bijection, x: Tensor) -> None:
    """``torch.compile(fullgraph=True)`` traces forward and inverse without a graph break."""
    z, _ = bijection(x)
    for name, direction, at in (("forward", bijection.forward, x), ("inverse", bijection.inverse, z)):
        for ours, theirs in zip(traced(name, direction, at), direction(at), strict=True):
            require(distance(ours, theirs) <= 1e-10, f"{name} gives different results when compiled")


def traced(name: str, method: Callable[..., Any], *args: Any) -> Any:
    """The result of a method as one compiled graph; LawBroken if the graph breaks."""
    torch._dynamo.reset()
    try:
        return torch.compile(method, fullgraph=True, backend="eager")(*args)
    except torch._dynamo.exc.TorchDynamoException as error:
        reason = str(error).strip().splitlines()[0]
        raise LawBroken(
            f"{name} does not compile as one graph: branch on shapes and settings, not on values, and do not call "
            f".item() ({reason})"
        ) from None
