"""Laws of adversarial losses: the optimal discriminator and its divergence, and a generator that follows it."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.testing import Laws, require

from ..adversarial import Adversarial

K = 7
"""Points of the grid."""
LARGE = 40.0


def densities() -> tuple[Tensor, Tensor]:
    """Probabilities of the points of a grid, of data and of draws, ``[K]``, in float64."""
    noise = torch.Generator().manual_seed(0)
    p, q = torch.randn(2, K, generator=noise, dtype=torch.float64).softmax(1)
    return p, q


def expected(loss: Adversarial, D: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """The mean loss of the discriminator with logits ``[K]``: over independent pairs of data and draws."""
    real, fake = D.repeat_interleave(len(D)), D.repeat(len(D))  # [K * K]
    return torch.outer(p, q).reshape(-1) @ loss.discriminator(real, fake)


def losses_are_of_each_example(loss: Adversarial) -> None:
    """Both losses are one number an example, in the dtype of the logits, finite at logits of forty."""
    for dtype in (torch.float32, torch.float64):
        real = torch.linspace(-LARGE, LARGE, 5, dtype=dtype)
        fake = real.flip(0)
        of_both = {"discriminator": loss.discriminator(real, fake), "generator": _of_g(loss, fake)}
        for name, values in of_both.items():
            require(values.shape == (5,), f"the loss of the {name} has the shape {list(values.shape)}, expected [5]")
            require(values.dtype == dtype, f"the loss of the {name} is {values.dtype} for logits in {dtype}")
            require(values.isfinite().all(), f"the loss of the {name} is not finite at logits of {LARGE:g}")
        alone = loss.discriminator(real[:1], fake[:1])
        require(torch.allclose(alone, of_both["discriminator"][:1]),
                "the loss of an example depends on other examples of the batch")  # fmt: skip


def discriminator_raises_real_logits(loss: Adversarial) -> None:
    """The loss of the discriminator is lower where the logits of real data are the higher ones."""
    low, high = torch.full((3,), 0.25, dtype=torch.float64), torch.full((3,), 0.75, dtype=torch.float64)
    better = (loss.discriminator(high, low) < loss.discriminator(low, high)).all()
    require(better, "the loss of the discriminator must be lower where real data has higher logits than draws")


def generator_raises_its_logits(loss: Adversarial) -> None:
    """At negative logits the loss of the generator falls as the logits of draws rise, by a gradient in each."""
    fake = torch.linspace(-3.0, -0.25, 4, dtype=torch.float64, requires_grad=True)
    values = _of_g(loss, fake)
    (slope,) = torch.autograd.grad(values.sum(), fake, materialize_grads=True) if values.requires_grad else (fake * 0,)
    require((slope < 0).all(), "the loss of the generator must fall as the logits of draws rise: it has no gradient, "
            "or one of the wrong sign")  # fmt: skip


def optimum_is_published(loss: Adversarial) -> None:
    """No other logits have a lower loss than the stated optimum."""
    p, q = densities()
    best = loss.optimum(p, q)
    if best is None:
        return
    least = expected(loss, best, p, q)
    noise = torch.Generator().manual_seed(1)
    steps = [size * torch.eye(K, dtype=p.dtype)[i] for i in range(K) for size in (-0.3, -1e-2, 1e-2, 0.3)]
    steps += list(0.5 * torch.randn(20, K, generator=noise, dtype=p.dtype))
    for step in steps:
        lower = least - expected(loss, best + step, p, q)
        require(lower <= 1e-12, f"the stated optimum is off: other logits have a loss lower by {float(lower):.2g}")


def minimum_is_the_divergence(loss: Adversarial) -> None:
    """The loss at the optimum is the stated one, a function of the divergence."""
    p, q = densities()
    best, minimum = loss.optimum(p, q), loss.minimum(p, q)
    require((best is None) == (minimum is None), "state both the optimum and the minimum of the loss, or neither")
    if best is None or minimum is None:
        return
    off = float((expected(loss, best, p, q) - minimum).abs())
    require(off <= 1e-9, f"the loss at the optimum differs from the stated minimum by {off:.2g}")
    least = loss.minimum(p, p)
    require(least is not None and least > minimum, "the minimum must be largest where both densities are equal")


def _of_g(loss: Adversarial, fake: Tensor) -> Tensor:
    return loss.generator(torch.zeros_like(fake) if loss.paired else None, fake)


LAWS = Laws.of(
    losses_are_of_each_example,
    discriminator_raises_real_logits,
    generator_raises_its_logits,
    optimum_is_published,
    minimum_is_the_divergence,
    given=[()],
)
