"""Reflow: a rectified flow trained on the pairs of noise and draws of another."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import (
    Batch,
    Clock,
    Completes,
    Condition,
    Decodes,
    Event,
    Known,
    Model,
    Part,
    Reconstructs,
    Sampler,
    Scores,
    Terms,
    Traces,
    TrainingState,
    Varies,
    component,
    sum_event,
)

from ...shared.precision import lifted
from ..diffusion import Diffusion

SMALL: Mapping[str, Any] = {
    "type": "diffusion",
    "net": {"type": "time_mlp", "width": 8, "depth": 1},
    "solver": {"type": "heun", "steps": 3},
}


@component("reflow", example={"student": SMALL, "teacher": {**SMALL, "target": "data"}, "pairs": 8, "fresh": 2})
class Reflow(Model, Scores, Reconstructs, Decodes, Completes, Traces, Varies, TrainingState):
    r"""Reflow: flow matching along straight lines between noise and what a trained model makes of that very noise.

    .. math:: L = \mathrm{E}_{z, t} \bigl\| v_\theta(x_t, t) - (z - G(z)) \bigr\|^2, \qquad x_t = (1 - t)\, G(z) + t z,
       \qquad z \sim \mathcal{N}(0, I), \quad t \sim \mathcal{U}[0, 1]

    Draws of the student have the distribution of those of the teacher G, and its paths do not cross as lines between
    independent noise and data do: they are straighter, and few steps of a solver follow them.

    ``init_from: [{file: F, into: teacher}, {file: F, into: student}]`` loads the teacher and starts the student from
    its weights. The teacher is not trained. The data of a batch is not used, only its labels. Pairs are stored:
    ``fresh`` new ones in each step take the places of the oldest, and a batch is drawn from those that there are. They
    are part of a checkpoint, but not of the share file.

    Draws, codes, completions and likelihoods are those of the student.

    ValueError for a student that is no diffusion model on the path ``rectified``, a teacher that is none, or one of
    them with ``dequantize``, and for a teacher with another context.

    Args:
        student: The model that is trained, a ``diffusion`` on the path ``rectified``; its weighting and coupling have
            no effect.
        teacher: A trained model, a ``diffusion`` on any path.
        pairs: The number of stored pairs.
        fresh: The number of new pairs in each step, each of which costs a draw of the teacher.

    References: Liu et al., Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow, 2022,
    arXiv:2209.03003, alg. 1 and sec. 2.2.

    Shapes: as in the student. Logs ``error``, the squared error of the velocity summed over the event: the straightness
    of the pairs, 0 where no lines cross.
    """

    noise: Tensor
    data: Tensor

    def __init__(
        self,
        event: Event,
        *,
        student: Part[Model],
        teacher: Part[Model],
        pairs: PositiveInt = 10_000,
        fresh: PositiveInt = 64,
    ) -> None:
        super().__init__(event)
        if fresh > pairs:
            raise ValueError(f"fresh must not be above pairs, got {fresh} and {pairs}")
        self.pairs, self.fresh = pairs, fresh
        self.student: Any = _diffusion(student, event, "student")
        self.teacher: Any = _diffusion(teacher, event, "teacher")
        self.teacher.requires_grad_(False)
        if self.student.path.norm != "sum":
            raise ValueError("needs a student on straight lines: declare its path as 'rectified'")
        if self.teacher.conditions != self.student.conditions:
            raise ValueError("needs a teacher with the same context as the student")
        self.conditioned_on = self.student.conditioned_on
        self.exact, self.unbiased = self.student.exact, self.student.unbiased
        for name in ("noise", "data"):
            self.register_training_state(name, partial(torch.zeros, pairs, *event.shape))
        for name in self.conditions:
            entry = event.entries[name]
            self.register_training_state(f"given_{name}", partial(torch.zeros, pairs, *entry.shape, dtype=entry.dtype))
        self.train()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.teacher.train(False)
        return self

    # -- training ------------------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        student, given = self.student, self.given(batch)
        n = batch[self.event.name].shape[0]
        if self.training:
            self._renew(given, n, clock)
        filled = ((clock.step + 1) * self.fresh).clamp(max=self.pairs)
        rows = (torch.rand(n, device=self.noise.device) * filled).long().minimum(filled - 1)
        z, x0 = self.noise[rows].to(student.like.dtype), self.data[rows].to(student.like.dtype)
        c = student.condition({name: getattr(self, f"given_{name}")[rows] for name in self.conditions} or None)
        t = student.times.draw(n, x0)
        weight = 1.0 / (student.times.density(t) * (student.path.end - student.path.start))
        error = sum_event((velocity(student, x0, z, t, c) - (z - x0)).square())  # [B]
        return Terms((weight * error).mean(), {"error": error})

    @torch.no_grad()
    def _renew(self, given: Condition | None, n: int, clock: Clock) -> None:
        """New pairs in the places of the oldest, with the labels of a batch."""
        new = torch.arange(self.fresh, device=self.noise.device)
        places, of = (clock.step * self.fresh + new).remainder(self.pairs), new.remainder(n)
        condition = None if given is None else {name: x[of] for name, x in given.items()}
        z = self.teacher.draw_latent(self.fresh, condition)
        x = self.teacher.expect(z, condition)
        self.noise.index_copy_(0, places, z.to(self.noise.dtype))
        self.data.index_copy_(0, places, (x if self.event.levels is None else 2.0 * x - 1.0).to(self.data.dtype))
        for name, value in (condition or {}).items():
            stored = getattr(self, f"given_{name}")
            stored.index_copy_(0, places, value.to(stored.dtype))

    # -- the student ---------------------------------------------------------------------------------------------------

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        log_p: Tensor = self.student.log_prob(x, context)
        return log_p

    def draw_latent(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        z: Tensor = self.student.draw_latent(n, context, temperature)
        return z

    def decode(self, z: Tensor, context: Condition | None = None) -> Tensor:
        x: Tensor = self.student.decode(z, context)
        return x

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        z: Tensor = self.student.encode(x, context)
        return z

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        x: Tensor = self.student.expect(z, context)
        return x

    def complete(self, known: Known, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        x: Tensor = self.student.complete(known, context, temperature)
        return x

    def trace(self, n: int, frames: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        states: Tensor = self.student.trace(n, frames, context, temperature)
        return states

    def vary(self, x: Tensor, strength: float, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        varied: Tensor = self.student.vary(x, strength, context, temperature)
        return varied

    def unseen(self, known: Tensor) -> Tensor:
        share: Tensor = self.student.unseen(known)
        return share


@component("student", example={"of": "ode"})
class Student(Sampler):
    """Draws of a `reflow` by a sampler of its student, such as one with fewer steps.

    ValueError for another model.

    Args:
        of: The sampler of the student.
    """

    def __init__(self, model: Model, *, of: Part[Sampler]) -> None:
        super().__init__(model)
        if not isinstance(model, Reflow):
            raise ValueError("needs a reflow model")
        self.of = of(model.student)

    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.of.sample(n, context, temperature)


def velocity(model: Diffusion, data: Tensor, noise: Tensor, t: Tensor, c: Tensor | None) -> Tensor:
    r"""The velocity of a diffusion model between data and noise, ``[B, *shape]``, at times ``[B]``."""
    level = model.path.levels(t, data.dim())
    x = level.alpha * data + level.sigma * noise
    output = lifted(model.net(model.target.scale(level) * x, model.number(t), c))
    return model.target.predicted(output, x, level).velocity(level)


def _diffusion(declared: Part[Model], event: Event, role: str) -> Diffusion:
    model: Any = declared(event)
    if not isinstance(model, Diffusion) or model.dequantize is not None:
        raise ValueError(f"needs a diffusion model without dequantize as its {role}, but '{declared.name}' is none")
    return model
