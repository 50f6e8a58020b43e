"""Laws of quantizers: the nearest code, straight-through gradients, and nothing learned in evaluation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zoo import Shape, sum_event
from zoo.testing import Laws, require

from ..quantizers import Quantizer


def vectors(quantizer: Quantizer, n: int = 6) -> Tensor:
    """Normal vectors, in the dtype of the quantizer."""
    dtype = quantizer.embed(torch.zeros(1, *_places(quantizer), dtype=torch.int64)).dtype
    z = torch.randn(n, *quantizer.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return z.to(dtype)


def _of_every_code(quantizer: Quantizer) -> Tensor:
    """The vector of each code at each place, ``[K, *shape]``."""
    places = _places(quantizer)
    return quantizer.embed(torch.arange(quantizer.size).view(-1, *(1,) * len(places)).expand(-1, *places)).detach()


def _places(quantizer: Quantizer) -> tuple[int, ...]:
    """The sizes of the places of vectors: all but the first of the shape."""
    return tuple(quantizer.shape)[1:]


def codes_are_nearest(quantizer: Quantizer) -> None:
    """No code is nearer to a vector than the one that it gets."""
    z = vectors(quantizer)
    answer = quantizer(z)
    off = (z.unsqueeze(1) - _of_every_code(quantizer)).square().sum(2)  # [B, K, ...]
    chosen = (z - quantizer.embed(answer.codes)).square().sum(1)
    require((chosen <= off.amin(1) + 1e-6).all(), "a vector has a code although another one is nearer")


def values_are_those_of_the_codes(quantizer: Quantizer) -> None:
    """The result has exactly the values of `embed` of its codes, and is its own nearest code."""
    answer = quantizer(vectors(quantizer))
    wanted = quantizer.embed(answer.codes)
    require(torch.equal(answer.z, wanted), "the quantized vectors are not those of their codes")
    again = quantizer(wanted.detach())
    same = torch.equal(quantizer.embed(again.codes), wanted)
    require(same and not again.commitment.any(), "vectors that are already codes must not change")


def gradient_goes_straight_through(quantizer: Quantizer) -> None:
    """The result has the gradient of the vectors that were quantized."""
    z = vectors(quantizer).requires_grad_()
    weights = torch.linspace(-1.0, 1.0, z.numel(), dtype=z.dtype).view_as(z)
    (slope,) = torch.autograd.grad((weights * quantizer(z).z).sum(), z)
    require(torch.equal(slope, weights), "the gradient of the output must reach the input unchanged")


def terms_are_distances(quantizer: Quantizer) -> None:
    """Both terms are the squared distance; the commitment moves the vectors, and only those."""
    z = vectors(quantizer).requires_grad_()
    answer = quantizer(z)
    e = quantizer.embed(answer.codes).detach()
    wanted = sum_event((z - e).square())
    for name, term in (("commitment", answer.commitment), ("codebook", answer.codebook)):
        near = term.shape == wanted.shape and torch.allclose(term, wanted)
        require(near, f"'{name}' must be the squared distance of the vectors from their codes, one number a sample")
    (slope,) = torch.autograd.grad(answer.commitment.sum(), z, retain_graph=True)
    require(torch.allclose(slope, 2.0 * (z - e)), "the gradient of 'commitment' must pull the vectors to their codes")
    if answer.codebook.requires_grad:
        (slope,) = torch.autograd.grad(answer.codebook.sum(), z, materialize_grads=True)
        require(not slope.any(), "'codebook' must have no gradient in the vectors")


def evaluation_keeps_state(quantizer: Quantizer) -> None:
    """In evaluation mode nothing is learned."""
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer.eval()(vectors(quantizer))
    changed = [name for name, value in quantizer.state_dict().items() if not torch.equal(value, before[name])]
    require(not changed, f"a call in evaluation mode changed {', '.join(changed)}")


def _in_evaluation(quantizer: Quantizer, law: Callable[[Quantizer], None]) -> None:
    law(quantizer.eval())


LAWS = Laws.of(
    codes_are_nearest,
    values_are_those_of_the_codes,
    gradient_goes_straight_through,
    terms_are_distances,
    evaluation_keeps_state,
    given=[(Shape(2),), (Shape(5),), (Shape(3, 4),), (Shape(2, 4, 4),)],
    hold=_in_evaluation,
)
