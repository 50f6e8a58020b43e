"""Laws of penalties: closed forms on linear and quadratic critics, and second derivatives."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from zoo.testing import LawBroken, Laws, require

from ..penalty import Critic, GradientPenalty, Penalty

SHAPES = ((5,), (3, 4, 2))
B = 4


def examples(shape: tuple[int, ...], n: int = B) -> tuple[Tensor, Tensor]:
    """Real data and draws, in float64."""
    noise = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, n, *shape, generator=noise, dtype=torch.float64)
    return real, fake


def penalised(penalty: Penalty, critic: Critic, real: Tensor, fake: Tensor) -> Tensor | None:
    """The penalty by a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        values: Tensor | None = penalty(critic, real, fake)
        return values


def linear_critics_are_exact(penalty: Penalty) -> None:
    r"""Of :math:`D(x) = w \cdot x` the penalty is that of w at every point: one norm over all of an example."""
    for shape in SHAPES:
        real, fake = examples(shape)
        w = torch.linspace(-1.0, 2.0, real[0].numel(), dtype=real.dtype)
        values = penalised(penalty, lambda x, w=w: x.flatten(1) @ w, real, fake)  # type: ignore[misc]
        if values is None:
            return
        require(values.shape == (B,), f"the penalty has the shape {list(values.shape)}: return one number an example")
        require(values.dtype == real.dtype, f"the penalty is {values.dtype} in {real.dtype}")
        if isinstance(penalty, GradientPenalty):
            wanted = penalty.value(w.expand(B, -1))
            require(torch.allclose(values, wanted, rtol=1e-12), "the penalty of a linear critic is not that of its "
                    "gradient: take the norm over all numbers of an example, not over one dimension")  # fmt: skip
        else:
            require(torch.allclose(values, values[:1].expand(B)), "examples have different penalties of one gradient")


def quadratic_critics_are_exact(penalty: Penalty) -> None:
    r"""Of :math:`D(x) = \tfrac12 \lVert x \rVert^2` it is that of the points at which the gradient is taken."""
    if not isinstance(penalty, GradientPenalty):
        return
    for shape in SHAPES:
        real, fake = examples(shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            wanted = penalty.value(penalty.points(real, fake).flatten(1))
        values = penalised(penalty, lambda x: x.flatten(1).square().sum(1) / 2, real, fake)
        require(values is not None and torch.allclose(values, wanted, rtol=1e-12),
                "the penalty of a quadratic critic is not that of its gradient, the points themselves")  # fmt: skip


def draws_in_half_precision_are_widened(penalty: Penalty) -> None:
    """Of draws in bfloat16, as a generator under autocast makes them, the penalty is as of the same in float32."""
    real, fake = (x.float() for x in examples((5,)))
    critic: Critic = lambda x: x.float().pow(3).sum(1)  # noqa: E731
    half = penalised(penalty, critic, real, fake.bfloat16())
    if half is None:
        return
    whole = penalised(penalty, critic, real, fake.bfloat16().float())
    require(half.dtype == torch.float32, f"the penalty is {half.dtype} of draws in bfloat16: expected float32")
    require(whole is not None and torch.allclose(half, whole, rtol=1e-6), "the penalty rounds to bfloat16: widen the "
            "draws to the dtype of the data first")  # fmt: skip


def examples_are_alone(penalty: Penalty) -> None:
    """The penalty of an example depends on its own data and draw, and not on the size of the batch."""
    real, fake = (x.requires_grad_() for x in examples((5,)))
    values = penalised(penalty, lambda x: x.pow(3).sum(1), real, fake)
    if values is None:
        return
    for x in torch.autograd.grad(values[0], (real, fake), allow_unused=True):
        require(x is None or not x[1:].any(), "the penalty of an example depends on the others of its batch")
    few = penalised(penalty, lambda x: x @ torch.ones(5, dtype=x.dtype), real[:1], fake[:1])
    many = penalised(penalty, lambda x: x @ torch.ones(5, dtype=x.dtype), real, fake)
    require(few is not None and many is not None and torch.allclose(few, many[:1]),
            "the penalty of a linear critic depends on the size of the batch")  # fmt: skip


def second_derivatives_reach_parameters(penalty: Penalty) -> None:
    """The gradients in the parameters of the critic are those of finite differences."""
    real, fake = examples((3,))
    if penalised(penalty, lambda x: x.sum(1), real, fake) is None:
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        W, v = (torch.randn(*size, dtype=real.dtype) for size in ((3, 4), (4,)))

    def of(W: Tensor, v: Tensor) -> Tensor:
        values = penalised(penalty, lambda x: (x @ W).tanh() @ v, real, fake)
        nothing = 0.0 * W.sum()  # a result without any gradient would be left out
        return nothing if values is None else values + nothing

    right = gradcheck(of, (W.requires_grad_(), v.requires_grad_()), raise_exception=False)
    require(right, "the gradients of the penalty in the parameters differ from finite differences: "
            "take the critic's gradient with a graph")  # fmt: skip


def compiles(penalty: Penalty) -> None:
    """``torch.compile(fullgraph=True)`` traces the penalty of a network with its gradient, which stays as it is."""
    real, fake = examples((3,))
    if penalised(penalty, lambda x: x.sum(1), real, fake) is None:
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = nn.Linear(3, 4)
        net = nn.Sequential(first, nn.Tanh(), nn.Linear(4, 1)).double()

    def loss(real: Tensor, fake: Tensor) -> Tensor:
        values = penalty(lambda x: net(x).squeeze(1), real, fake)
        total: Tensor = values.sum()
        return total

    def gradient(of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return torch.autograd.grad(of(real, fake), first.weight)[0]

    wanted = gradient(loss)
    torch._dynamo.reset()
    try:
        found = gradient(torch.compile(loss, fullgraph=True, backend="aot_eager"))
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise LawBroken(f"the penalty does not compile: take derivatives by torch.func ({reason})") from None
    require(torch.allclose(found, wanted), "the gradient of the compiled penalty is different")


def bounds_hold_parameters(penalty: Penalty) -> None:
    """A bound of parameters changes them within the bound, and twice is once."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Linear(3, 4).double()
    before = [x.detach().clone() for x in net.parameters()]
    penalty.constrain(net)
    once = [x.detach().clone() for x in net.parameters()]
    penalty.constrain(net)
    require(all(torch.equal(a, b) for a, b in zip(once, net.parameters(), strict=True)),
            "constrain changes parameters that are within its bound already")  # fmt: skip
    real, fake = examples((3,))
    is_bound = penalised(penalty, lambda x: x.sum(1), real, fake) is None
    changed = any(not torch.equal(a, b) for a, b in zip(before, once, strict=True))
    require(changed or not is_bound, "neither forward nor constrain has an effect")


LAWS = Laws.of(
    linear_critics_are_exact,
    quadratic_critics_are_exact,
    draws_in_half_precision_are_widened,
    examples_are_alone,
    second_derivatives_reach_parameters,
    compiles,
    bounds_hold_parameters,
    given=[()],
)
