"""The laws that kinds of zoo's own plugins bring find planted defects, one for each law."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.testing import LawBroken, Laws

if TYPE_CHECKING:
    from plugins.autoregressive.heads.categorical import Categorical
    from plugins.autoregressive.laws import head
    from plugins.flows.laws import log_det
    from plugins.flows.log_det import FullJacobian, Roulette
    from plugins.shared.context import Embedding
    from plugins.shared.dequantization import Uniform
    from plugins.shared.derivatives import Function
    from plugins.shared.laws import context, dequantization, ode_solver
    from plugins.shared.ode import Dynamics, OdeSolver, RungeKutta4, State
    from plugins.vae.laws import quantizer
    from plugins.vae.quantizers import VQ, VQEMA, Quantized
else:
    from zoo.plugins.autoregressive.heads.categorical import Categorical
    from zoo.plugins.autoregressive.laws import head
    from zoo.plugins.flows.laws import log_det
    from zoo.plugins.flows.log_det import FullJacobian, Roulette
    from zoo.plugins.shared.context import Embedding
    from zoo.plugins.shared.dequantization import Uniform
    from zoo.plugins.shared.derivatives import Function
    from zoo.plugins.shared.laws import context, dequantization, ode_solver
    from zoo.plugins.shared.ode import Dynamics, OdeSolver, RungeKutta4, State
    from zoo.plugins.vae.laws import quantizer
    from zoo.plugins.vae.quantizers import VQ, VQEMA, Quantized

IMAGE = zoo.Event("image", zoo.Shape(1, 2, 2), levels=2)
PIXEL = zoo.Event("image", zoo.Shape(3, 2, 2), levels=17)
LABELLED = zoo.Event("point", zoo.Shape(2), classes=3)


# -- solvers -----------------------------------------------------------------------------------------------------------


class Euler(RungeKutta4):
    def forward(self, f: Dynamics, y: State, start: float, end: float, depends: Sequence[Tensor]) -> State:
        h = (end - start) / self.steps
        for i in range(self.steps):
            y = tuple(value + h * slope for value, slope in zip(y, f(start + i * h, y), strict=True))
        return y


class WithoutTime(RungeKutta4):
    def forward(self, f: Dynamics, y: State, start: float, end: float, depends: Sequence[Tensor]) -> State:
        return super().forward(lambda t, state: f(0.0, state), y, start, end, depends)


class OneByOne(RungeKutta4):
    def forward(self, f: Dynamics, y: State, start: float, end: float, depends: Sequence[Tensor]) -> State:
        def alone(i: int) -> Dynamics:
            return lambda t, state: (f(t, (*y[:i], state[0], *y[i + 1 :]))[i],)

        solve = super().forward
        return tuple(solve(alone(i), (value,), start, end, depends)[0] for i, value in enumerate(y))


class DetachedSolver(RungeKutta4):
    def forward(self, f: Dynamics, y: State, start: float, end: float, depends: Sequence[Tensor]) -> State:
        with torch.no_grad():
            change = [
                after - before for after, before in zip(super().forward(f, y, start, end, depends), y, strict=True)
            ]
        return tuple(before + moved for before, moved in zip(y, change, strict=True))


class NeverFiner(RungeKutta4):
    def refined(self) -> OdeSolver:
        return self


# -- log-determinants --------------------------------------------------------------------------------------------------


class Truncated(Roulette):
    """The first terms without the roulette that makes up for the others."""

    def _weights(self) -> Iterator[float]:
        yield from [1.0] * 2


class WithoutIdentity(FullJacobian):
    def forward(self, g: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        y, log_det = super().forward(lambda x: g(x) - 0.1 * x, x)
        return y + 0.1 * x, log_det


class DetachedLogDet(FullJacobian):
    def forward(self, g: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        y, log_det = super().forward(g, x)
        return y, log_det.detach() + 0.0 * y.sum()


class WithoutItsGradient(FullJacobian):
    def forward(self, g: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        y, log_det = super().forward(g, x)
        return y.detach() + 0.0 * x, log_det


class DoublePrecision(FullJacobian):
    def forward(self, g: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        y, log_det = super().forward(g, x)
        return y, log_det.double()


# -- dequantization ----------------------------------------------------------------------------------------------------


class Rounding(Uniform):
    def inverse(self, v: Tensor) -> Tensor:
        return super().inverse(v + 0.5 / self.levels)


class TooWide(Uniform):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        v, log_det = super().forward(x)
        return v + 0.2 * (v - x / self.levels), log_det


class HalfFull(Uniform):
    """Noise in the lower half of each cell, with its density of two."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        v, log_det = super().forward(x)
        return 0.5 * (v + x / self.levels), log_det - self.event.shape.size * math.log(2.0)


class SinglePrecision(Uniform):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        v, log_det = super().forward(x)
        return v.float(), log_det


# -- quantizers --------------------------------------------------------------------------------------------------------


def with_codes_of(of: VQ, z: Tensor, codes: Tensor) -> Quantized:
    e = of.embed(codes)
    distance = zoo.sum_event((z - e).square())
    return Quantized(e.detach() + (z - z.detach()), codes, distance, distance)


class NextCode(VQ):
    def forward(self, z: Tensor) -> Quantized:
        return with_codes_of(self, z, (super().forward(z).codes + 1) % self.size)


class Halfway(VQ):
    def forward(self, z: Tensor) -> Quantized:
        answer = super().forward(z)
        return answer._replace(z=0.5 * (answer.z + z))


class NoGradient(VQ):
    def forward(self, z: Tensor) -> Quantized:
        answer = super().forward(z)
        return answer._replace(z=answer.z.detach() + 0.0 * z)


class Mean(VQ):
    def forward(self, z: Tensor) -> Quantized:
        answer = super().forward(z)
        return answer._replace(commitment=answer.commitment / self.shape.size)


class BothWays(VQ):
    """The codebook's term pulls the vectors as well."""

    def forward(self, z: Tensor) -> Quantized:
        answer = super().forward(z)
        return answer._replace(codebook=zoo.sum_event((z - self.embed(answer.codes)).square()))


class AlwaysLearning(VQEMA):
    def forward(self, z: Tensor) -> Quantized:
        answer = super().forward(z)
        self.learn(z.movedim(1, -1).flatten(0, -2), answer.codes.flatten())
        return answer


# -- contexts ----------------------------------------------------------------------------------------------------------


class Wider(Embedding):
    def forward(self, given: zoo.Condition) -> Tensor:
        return super().forward(given).repeat(1, 2)


class Centred(Embedding):
    def forward(self, given: zoo.Condition) -> Tensor:
        c = super().forward(given)
        return c - c.mean(0)


class Constant(Embedding):
    def forward(self, given: zoo.Condition) -> Tensor:
        return super().forward({"label": given["label"] * 0})


# -- heads -------------------------------------------------------------------------------------------------------------


class Unnormalised(Categorical):
    def log_probs(self, x: Tensor, h: Tensor) -> Tensor:
        return super().log_probs(x, h) + 0.01


class Shifted(Categorical):
    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        return super().log_prob((x + 1) % self.count, h)


class Overflowing(Categorical):
    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        return h.gather(1, x.long().unsqueeze(1)).squeeze(1) - h.exp().sum(1).log()


class Leaking(Categorical):
    def log_probs(self, x: Tensor, h: Tensor) -> Tensor:
        return super().log_probs(x, h) + 0.1 * x.unsqueeze(-1)


class OneTooMany(Categorical):
    def draw(self, h: Tensor, u: Tensor, temperature: float = 1.0, known: zoo.Known | None = None) -> Tensor:
        return super().draw(h, u, temperature, known) + 1


PLANTED: list[tuple[Laws, type[Any], tuple[Any, ...], str]] = [
    (ode_solver.LAWS, Euler, (), "solves_a_linear_equation"),
    (ode_solver.LAWS, WithoutTime, (), "follows_the_time"),
    (ode_solver.LAWS, OneByOne, (), "tensors_evolve_together"),
    (ode_solver.LAWS, DetachedSolver, (), "gradients_are_those_of_the_solution"),
    (ode_solver.LAWS, NeverFiner, (), "refined_is_closer"),
    (log_det.LAWS, Truncated, (), "is_that_of_the_jacobian"),
    (log_det.LAWS, WithoutIdentity, (), "is_that_of_the_jacobian"),
    (log_det.LAWS, DetachedLogDet, (), "gradients_are_those_of_the_mean"),
    (log_det.LAWS, WithoutItsGradient, (), "returns_the_function"),
    (log_det.LAWS, DoublePrecision, (), "shapes_and_dtypes_follow"),
    (dequantization.LAWS, Rounding, (IMAGE,), "integers_come_back"),
    (dequantization.LAWS, TooWide, (IMAGE,), "numbers_lie_in_their_cells"),
    (dequantization.LAWS, HalfFull, (IMAGE,), "noise_fills_its_cell"),
    (dequantization.LAWS, SinglePrecision, (IMAGE,), "dtype_follows"),
    (quantizer.LAWS, NextCode, (zoo.Shape(2, 4, 4),), "codes_are_nearest"),
    (quantizer.LAWS, Halfway, (zoo.Shape(2, 4, 4),), "values_are_those_of_the_codes"),
    (quantizer.LAWS, NoGradient, (zoo.Shape(2, 4, 4),), "gradient_goes_straight_through"),
    (quantizer.LAWS, Mean, (zoo.Shape(2, 4, 4),), "terms_are_distances"),
    (quantizer.LAWS, BothWays, (zoo.Shape(2, 4, 4),), "terms_are_distances"),
    (quantizer.LAWS, AlwaysLearning, (zoo.Shape(2, 4, 4),), "evaluation_keeps_state"),
    (context.LAWS, Wider, (LABELLED,), "vectors_are_of_the_size"),
    (context.LAWS, Centred, (LABELLED,), "examples_are_alone"),
    (context.LAWS, Constant, (LABELLED,), "examples_differ"),
    (head.LAWS, Unnormalised, (PIXEL,), "probabilities_sum_to_one"),
    (head.LAWS, Shifted, (PIXEL,), "log_prob_is_one_of_them"),
    (head.LAWS, Overflowing, (PIXEL,), "gradients_are_finite"),
    (head.LAWS, Leaking, (PIXEL,), "channels_depend_on_earlier_ones"),
    (head.LAWS, OneTooMany, (PIXEL,), "draws_are_levels"),
]


def build(cls: type[Any], given: tuple[Any, ...]) -> nn.Module:
    settings = {"size": 8} if issubclass(cls, VQ | VQEMA) else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built: nn.Module = cls(*given, **settings)
        return built


@pytest.mark.parametrize(("laws", "cls", "given", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_planted_defect_is_found(laws: Laws, cls: type[Any], given: tuple[Any, ...], law: str) -> None:
    """By this law; and without the defect the component obeys it."""
    with pytest.raises(LawBroken):
        laws.hold(build(cls, given), laws.by_name[law])
    laws.hold(build(cls.__bases__[0], given), laws.by_name[law])


@pytest.mark.parametrize("laws", [one.LAWS for one in (ode_solver, log_det, dequantization, quantizer, context, head)])
def test_every_law_has_a_defect_that_it_finds(laws: Laws) -> None:
    assert {law for of, _, _, law in PLANTED if of is laws} == set(laws.by_name)
