"""Laws of loss weightings, and of controllers that act once a step."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from ...interfaces.capabilities import AfterStep
from ...interfaces.model import Clock
from ...interfaces.weighting import LatentTerms, Weighting
from ..errors import LawBroken, distance, require

HORIZON = 40
BATCH = 8


def clock_at(step: int, device: str = "cpu") -> Clock:
    """A step of a horizon of 40."""
    return Clock(torch.tensor(step, device=device), HORIZON)


def random_terms(
    weighting: Weighting, seed: int = 0, scale: float = 10.0, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """The nll ``[B]`` and the divergences ``[B, L]`` of a batch: positive, unless the scale is zero."""
    noise = torch.Generator().manual_seed(seed)
    nll = scale * (0.1 + torch.rand(BATCH, generator=noise, dtype=torch.float64))
    kl_dim = scale * (0.1 + torch.rand(BATCH, weighting.latent_size, generator=noise, dtype=torch.float64))
    return nll.to(dtype), kl_dim.to(dtype)


def terms_of(weighting: Weighting, seed: int = 0, dtype: torch.dtype = torch.float64) -> LatentTerms:
    """The terms of a batch."""
    nll, kl_dim = random_terms(weighting, seed, dtype=dtype)
    return LatentTerms(nll, kl_dim.sum(1), kl_dim, 4)


def at(terms: LatentTerms, rows: Tensor) -> LatentTerms:
    """Some examples of a batch."""
    kl_dim = None if terms.kl_dim is None else terms.kl_dim[rows]
    return LatentTerms(terms.nll[rows], terms.kl[rows], kl_dim, terms.size)


def end_step(weighting: Weighting, step: int) -> None:
    """Notify a controller of the end of a step."""
    if isinstance(weighting, AfterStep):
        weighting.after_step(clock_at(step))


def take_step(
    weighting: Weighting, step: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The loss and the weights of a training step with another batch."""
    loss, weights = weighting(terms_of(weighting, step, dtype), clock_at(step))
    end_step(weighting, step)
    return loss, weights


def state_of(weighting: Weighting) -> dict[str, Tensor]:
    """Copies of all parameters and buffers, saved or not."""
    return {name: x.detach().clone() for name, x in (*weighting.named_parameters(), *weighting.named_buffers())}


def terms_have_effect(weighting: Weighting) -> None:
    """Each example's nll costs in every step. A divergence beyond all bounds is never rewarded, and costs in some step.

    A divergence below what a weighting aims at may be rewarded.
    """
    grows = False
    for step in range(0, HORIZON, 8):
        nll, kl, *_ = _differentiated(weighting, step, scale=1e3)[1:]
        require((nll > 0).all(), f"in step {step} the loss does not grow with each nll: weight the reconstruction")
        require((kl >= 0).all(), f"in step {step} a large divergence lowers the loss")
        grows |= bool((kl > 0).all())
    require(grows, "in no step does the loss grow with the divergence of every example and dimension")


def parameters_learn(weighting: Weighting) -> None:
    """The loss moves every number of every parameter."""
    gradients = _differentiated(weighting, 0, scale=10.0)[3:]
    for (name, _), gradient in zip(weighting.named_parameters(), gradients, strict=True):
        require((gradient != 0).all(), f"the loss does not depend on all of '{name}': use it without detach")


def loss_is_finite(weighting: Weighting) -> None:
    """Terms of any size, no divergence among them, give a finite loss and gradient: at first, and beyond the end."""
    for scale in (0.0, 1e-3, 1.0, 1e6):
        for step in (0, HORIZON - 1, 2 * HORIZON):
            finite = all(bool(value.isfinite().all()) for value in _differentiated(weighting, step, scale))
            require(finite, f"terms of size {scale:g} give a loss or a gradient that is not finite in step {step}")


def weights_are_figures(weighting: Weighting) -> None:
    """The weights are finite scalars, lead back to no parameter and share no memory with the state."""
    for step in (0, HORIZON - 1):
        _, weights = weighting(terms_of(weighting), clock_at(step))
        before = {name: value.clone() for name, value in weights.items()}
        for name, value in weights.items():
            require(value.dim() == 0 and bool(value.isfinite()), f"the weight '{name}' is not a finite scalar")
            require(not value.requires_grad, f"the weight '{name}' has a gradient: detach it")
        end_step(weighting, step)
        same = all(torch.equal(value, before[name]) for name, value in weights.items())
        require(same, "after_step changes weights that were returned: clone what forward reads of the state")


@torch.no_grad()
def terms_are_left_alone(weighting: Weighting) -> None:
    """``forward`` changes none of the terms."""
    terms = terms_of(weighting)
    given = copy.deepcopy(terms)
    weighting(terms, clock_at(0))
    for name in ("nll", "kl", "kl_dim"):
        require(torch.equal(getattr(terms, name), getattr(given, name)), f"forward changes {name} in place")


@torch.no_grad()
def order_is_free(weighting: Weighting) -> None:
    """The loss, the weights and the resulting state are the same for a batch in another order."""
    other = copy.deepcopy(weighting)
    for step in range(3):
        terms = terms_of(weighting, seed=step)
        turned = at(terms, torch.arange(terms.nll.shape[0]).roll(3).flip(0))
        ours, theirs = weighting(terms, clock_at(step)), other(turned, clock_at(step))
        end_step(weighting, step)
        end_step(other, step)
        for a, b in zip((ours[0], *ours[1].values()), (theirs[0], *theirs[1].values()), strict=True):
            require(near(a, b), "the order of a batch changes the loss or a weight: take means over the batch")
        state = state_of(other)
        same = all(near(value, state[name]) for name, value in state_of(weighting).items())
        require(same, "the order of a batch changes the state: take means over the batch")


def dtype_follows(weighting: Weighting) -> None:
    """In float32 or float64 loss, weights and state stay in that precision."""
    for dtype in (torch.float32, torch.float64):
        part = copy.deepcopy(weighting).to(dtype)
        for step in range(2):
            loss, weights = take_step(part, step, dtype)
            held = [value for value in state_of(part).values() if value.is_floating_point()]
            found = {str(value.dtype) for value in (loss, *weights.values(), *held)}
            require(found == {str(dtype)}, f"in {dtype} results are {', '.join(sorted(found))}: use the terms' dtype")


@torch.no_grad()
def compiles(weighting: Weighting) -> None:
    """``torch.compile(fullgraph=True)`` traces forward, and the graph of one step serves every other."""
    plain = copy.deepcopy(weighting)
    torch._dynamo.reset()
    compiled = torch.compile(weighting.forward, fullgraph=True, backend="eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for step in (0, 1, 2, HORIZON - 1):
            terms = terms_of(weighting, seed=step)
            try:
                ours = compiled(terms, clock_at(step))
            except torch._dynamo.exc.TorchDynamoException as error:
                raise LawBroken(
                    f"step {step} does not run as one graph that serves all steps: read the clock and the state as "
                    f"tensors, do not branch on values or call .item() ({str(error).strip().splitlines()[0]})"
                ) from None
            theirs = plain(terms, clock_at(step))
            for a, b in zip((ours[0], *ours[1].values()), (theirs[0], *theirs[1].values()), strict=True):
                require(near(a, b), f"when compiled, step {step} gives different results")
            end_step(weighting, step)
            end_step(plain, step)


def near(a: Tensor, b: Tensor) -> bool:
    """Whether two values are equal up to float64 rounding."""
    return distance(a, b) <= 1e-9 * max(1.0, float(b.detach().abs().max()))


def _differentiated(weighting: Weighting, step: int, scale: float) -> tuple[Tensor, ...]:
    """A loss, and its gradients by each nll, by each dimension's divergence and by the parameters."""
    nll, kl_dim = (x.requires_grad_() for x in random_terms(weighting, scale=scale))
    loss, _ = weighting(LatentTerms(nll, kl_dim.sum(1), kl_dim, 4), clock_at(step))
    leaves = [nll, kl_dim, *weighting.parameters()]
    return loss, *torch.autograd.grad(loss, leaves, materialize_grads=True)


@torch.no_grad()
def evaluation_keeps_state(weighting: Weighting) -> None:
    """In evaluation mode ``forward`` changes no parameter and no buffer, saved or not."""
    weighting.eval()
    before = state_of(weighting)
    weighting(terms_of(weighting), clock_at(3))
    for name, value in state_of(weighting).items():
        require(torch.equal(value, before[name]), f"forward changes '{name}' in evaluation: check self.training")


@torch.no_grad()
def forward_waits_for_the_step(weighting: Weighting) -> None:
    """The same terms in the same step give the same numbers, however often: only ``after_step`` moves the weights."""
    for step in range(3):
        terms, clock = terms_of(weighting, seed=step), clock_at(step)
        first, again = weighting(terms, clock), weighting(terms, clock)
        same = all(torch.equal(value, again[1][name]) for name, value in first[1].items())
        require(same and torch.equal(first[0], again[0]), "forward changes the weights: change them in after_step")
        end_step(weighting, step)


@torch.no_grad()
def acts_once_a_step(weighting: Weighting) -> None:
    """Two parts of a batch, of unlike sizes, leave the state that the whole leaves."""
    if not isinstance(weighting, AfterStep):
        return
    parts = copy.deepcopy(weighting)
    for step in range(3):
        terms = terms_of(weighting, seed=step)
        weighting(terms, clock_at(step))
        for rows in torch.split(torch.arange(BATCH), [3, BATCH - 3]):
            parts(at(terms, rows), clock_at(step))
        end_step(weighting, step)
        end_step(parts, step)
        state = state_of(parts)
        for name, value in state_of(weighting).items():
            require(
                near(value, state[name]),
                f"a batch in two parts gives another '{name}': average over a step's examples, then clear them",
            )


@torch.no_grad()
def state_resumes(weighting: Weighting) -> None:
    """Another one goes on to the very same numbers from the state dictionary of some step."""
    other = copy.deepcopy(weighting)
    for step in range(HORIZON // 2):
        take_step(weighting, step)
    other.load_state_dict(weighting.state_dict())
    for step in range(HORIZON // 2, HORIZON // 2 + 8):
        (ours, weights), (theirs, others) = take_step(weighting, step), take_step(other, step)
        same = torch.equal(ours, theirs) and all(torch.equal(value, others[name]) for name, value in weights.items())
        require(same, f"step {step} differs after load_state_dict: keep the state in parameters and persistent buffers")


@torch.no_grad()
def waits_for_no_value(weighting: Weighting) -> None:
    """``forward`` and ``after_step`` run on the meta device: the CPU need not wait for another device's values."""
    part = copy.deepcopy(weighting).to("meta")
    nll, kl, kl_dim, size = terms_of(weighting)
    terms = LatentTerms(nll.to("meta"), kl.to("meta"), None if kl_dim is None else kl_dim.to("meta"), size)
    clock = Clock(torch.zeros((), dtype=torch.int64, device="meta"), HORIZON)
    try:
        part(terms, clock)
        if isinstance(part, AfterStep):
            part.after_step(clock)
    except (NotImplementedError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise LawBroken(f"it reads a tensor's value: use torch.where instead of .item() ({reason})") from None
