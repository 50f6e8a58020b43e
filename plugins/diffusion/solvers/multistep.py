"""Multistep solvers of the probability-flow equation: DPM-Solver++(2M) and (3M), and UniPC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor

from zoo import Part, component, named

from ..paths.base import Level, Path
from .base import DiffusionSolver, Predict, ddim_step
from .grid import Grid
from .one_step import second_order_step


@component("dpmpp_2m")
class DPMPP2M(DiffusionSolver):
    r"""DPM-Solver++(2M), of order 2 with one evaluation a step: data is extrapolated from the step before.

    .. math:: x' = \frac{\sigma'}{\sigma} x + \alpha' \bigl(1 - e^{-h}\bigr) D, \qquad
       D = \hat x_0 + \frac{h}{2 h_-} \bigl(\hat x_0 - \hat x_{0-}\bigr), \qquad h = \tfrac12 (\lambda' - \lambda)

    where :math:`h_-` and :math:`\hat x_{0-}` are those of the step before; the first step, and one from noise without
    any signal, has :math:`D = \hat x_0`.

    References: Lu et al., DPM-Solver++, 2022, arXiv:2211.01095, alg. 2.
    """

    order = 2
    remembers = True
    fewest = 3

    def begin(self) -> None:
        self._before: tuple[Tensor, float] | None = None

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        now, then = path.level(t), path.level(after)
        data = D = predict(x, t).data
        signal = now.alpha > 0.0 and then.alpha > 0.0
        h = _half_log_snr(then) - _half_log_snr(now) if signal else math.inf
        if self._before is not None and signal:
            data_before, h_before = self._before
            D = data + 0.5 * h / h_before * (data - data_before)
        self._before = data, h
        growth = then.sigma / now.sigma
        return growth * x + (then.alpha - growth * now.alpha) * D


class Seen(NamedTuple):
    r"""Data that was predicted at a half log-SNR :math:`\lambda / 2`."""

    at: float
    data: Tensor


@component("dpmpp_3m")
class DPMPP3M(DiffusionSolver):
    r"""DPM-Solver++(3M), of order 3 with one evaluation a step: data is extrapolated from the two steps before.

    .. math:: x' = \frac{\sigma'}{\sigma} x + \alpha' \int_0^1 h e^{-h (1 - s)} P(s)\, ds, \qquad
       h = \tfrac12 (\lambda' - \lambda)

    with P the polynomial in log-SNR through :math:`\hat x_0` and those of the two steps before, at lengths that may
    differ. The first step, which would be of order 1, is one of ``dpmpp_2s`` and takes a second evaluation: otherwise
    its error would be the largest. A step from noise without any signal is one of ``ddim``.

    References: Lu et al., DPM-Solver++, 2022, arXiv:2211.01095, app. B; with stochastic steps it is ``dpmpp_3m_sde``
    of k-diffusion.
    """

    order = 3
    extra = 1
    remembers = True
    fewest = 4

    def begin(self) -> None:
        self._seen: list[Seen] = []

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        now, then = path.level(t), path.level(after)
        found = predict(x, t)
        if now.alpha == 0.0 or then.alpha == 0.0:
            return ddim_step(found, path, after)
        self._seen = [Seen(_half_log_snr(now), found.data), *self._seen[:2]]
        if len(self._seen) == 1:
            return second_order_step(predict, path, x, found, t, after)
        return exponential_step(x, now, then, self._seen)


@component("unipc")
class UniPC(DiffusionSolver):
    r"""UniPC, of order 3 with one evaluation a step: each evaluation first corrects the step that led to it.

    .. math:: x' = \frac{\sigma'}{\sigma} x + \alpha' \int_0^1 h e^{-h (1 - s)} P(s)\, ds, \qquad
       h = \tfrac12 (\lambda' - \lambda)

    The predictor's polynomial P is that through the last p values of :math:`\hat x_0`; the corrector repeats the step
    with a P through these and the value at its end. The last step is not corrected. The published coefficients with
    any :math:`B(h)` solve the same equations, but for those of two values, which it simplifies. A step from noise
    without any signal is one of ``ddim``.

    Args:
        p: The number of values of the predictor; the corrector has one more, and the first steps have fewer. With 3 the
            order is 4, but for the error of the first step.

    References: Zhao et al., UniPC: A Unified Predictor-Corrector Framework, 2023, arXiv:2302.04867, eq. 3 and 8,
    alg. 1-3.
    """

    order = 3
    remembers = True
    fewest = 3

    def __init__(self, *, p: Literal[2, 3] = 2, steps: int = 16, grid: Part[Grid] = named("uniform")) -> None:
        super().__init__(steps=steps, grid=grid)
        self.p = p

    def begin(self) -> None:
        self._seen: list[Seen] = []
        self._corrected: tuple[Tensor, Level] | None = None

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        now, then = path.level(t), path.level(after)
        found = predict(x, t)
        if now.alpha == 0.0:
            return ddim_step(found, path, after)
        seen = [Seen(_half_log_snr(now), found.data), *self._seen]
        if self._corrected is not None:
            x = exponential_step(*self._corrected, now, seen)
        self._seen, self._corrected = seen[: self.p], (x, now)
        if then.alpha == 0.0:
            return ddim_step(found, path, after)
        return exponential_step(x, now, then, self._seen)


def exponential_step(x: Tensor, now: Level, then: Level, seen: Sequence[Seen]) -> Tensor:
    """The step from one level to another along which data is the polynomial in log-SNR through what was seen."""
    here = _half_log_snr(now)
    h = _half_log_snr(then) - here
    weights = interpolation_weights(h, [(one.at - here) / h for one in seen])
    moved: Tensor = then.sigma / now.sigma * x
    for weight, one in zip(weights, seen, strict=True):
        moved = moved + then.alpha * weight * one.data
    return moved


def interpolation_weights(h: float, nodes: Sequence[float]) -> list[float]:
    r"""The weights of values at nodes in the integral of their polynomial, :math:`\int_0^1 h e^{-h (1 - s)} P(s) ds`.

    >>> [round(w, 6) for w in interpolation_weights(0.5, [0.0])], round(1.0 - math.exp(-0.5), 6)
    ([0.393469], 0.393469)
    """
    integrals = [exponential_moment(k, h) for k in range(len(nodes))]
    weights = []
    for j, node in enumerate(nodes):
        polynomial = [1.0]  # that of value 1 at this node and 0 at the others, from its constant on
        for other in (*nodes[:j], *nodes[j + 1 :]):
            shifted = [0.0, *polynomial]
            polynomial = [a - other * b for a, b in zip(shifted, [*polynomial, 0.0], strict=True)]
            polynomial = [a / (node - other) for a in polynomial]
        weights.append(sum(a * b for a, b in zip(polynomial, integrals, strict=True)))
    return weights


def exponential_moment(k: int, h: float) -> float:
    r""":math:`\int_0^1 h e^{-h (1 - s)} s^k ds`.

    >>> round(exponential_moment(2, 1e-9) / 1e-9, 6), round(exponential_moment(1, 2.0), 6)
    (0.333333, 0.567668)
    """
    if abs(h) < 1.0:
        return sum(math.factorial(k) * h * (-h) ** n / math.factorial(n + k + 1) for n in range(20))
    return -math.expm1(-h) if k == 0 else 1.0 - k / h * exponential_moment(k - 1, h)


def _half_log_snr(level: Level) -> float:
    return math.log(float(level.alpha / level.sigma))
