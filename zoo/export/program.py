"""Programs of a model: deterministic functions of one tensor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..engine.randomness import seeded
from ..errors import UsageError, listed, nearest
from ..interfaces import Decodes, Model, Samples, Scores


class Program(nn.Module, ABC):
    """One tensor in and one out, with as many rows, ``[n, ...] -> [n, ...]``; equal inputs give equal outputs."""

    name: ClassVar[str]
    takes: ClassVar[str]
    gives: ClassVar[str]

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model: Any = model

    @staticmethod
    @abstractmethod
    def lacking(model: Model) -> str | None:
        """Why a model has no such program, or None."""

    @abstractmethod
    def inputs(self, n: int) -> Tensor:
        """``n`` random inputs, as the model would meet them."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The output; all that chance has a say in comes in."""


class Sampling(Program):
    r"""The decoding of latents, :math:`z \mapsto x`: the caller draws them."""

    name, takes, gives = "sample", "z", "x"

    @staticmethod
    def lacking(model: Model) -> str | None:
        if isinstance(model, Decodes):
            return None
        return "it does not draw by decoding a latent" if isinstance(model, Samples) else "it does not sample"

    def inputs(self, n: int) -> Tensor:
        z: Tensor = self.model.draw_latent(n)
        return z

    def forward(self, x: Tensor) -> Tensor:
        decoded: Tensor = self.model.decode(x)
        return decoded


class Scoring(Program):
    """The score of data, :math:`x \\mapsto \\log p(x)`, in nats."""

    name, takes, gives = "score", "x", "log_prob"

    @staticmethod
    def lacking(model: Model) -> str | None:
        return None if isinstance(model, Scores) else "it does not score"

    def inputs(self, n: int) -> Tensor:
        event = self.model.event
        x: Tensor = self.model.sample(n) if isinstance(self.model, Samples) else event.example(n, "cpu")[event.name]
        return x

    def forward(self, x: Tensor) -> Tensor:
        log_p: Tensor = self.model.log_prob(x)
        return log_p


PROGRAMS: dict[str, type[Program]] = {program.name: program for program in (Sampling, Scoring)}


@torch.no_grad()
def program_of(model: Model, name: str | None = None) -> Program:
    """The program of this name of a model on the CPU, or the first that it has.

    Raises `zoo.UsageError`, saying why, where there is none.
    """
    if name is not None and name not in PROGRAMS:
        raise UsageError(f"unknown function '{name}'{nearest(name, PROGRAMS)}")
    called = model.declaration.name if model.declaration else type(model).__name__
    if model.conditions:
        raise UsageError(
            f"model '{called}' is conditioned on its {listed(model.conditions)}: a program takes one input"
        )
    reasons = []
    for kind in PROGRAMS.values() if name is None else (PROGRAMS[name],):
        program = kind(model).eval()
        reason = kind.lacking(model) or ("it draws random numbers internally" if _draws(program) else None)
        if reason is None:
            return program
        reasons.append(f"{kind.name}: {reason}")
    raise UsageError(f"model '{called}' has no function that other runtimes can run ({'; '.join(reasons)})")


def _draws(program: Program) -> bool:
    """Whether a run of the program moves the generator of random numbers."""
    with seeded(torch.device("cpu"), 0, "program"):
        x = program.inputs(2)
        before = torch.get_rng_state()
        program(x)
        return not torch.equal(before, torch.get_rng_state())
