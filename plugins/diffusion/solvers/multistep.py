"""Multistep solver of the probability-flow equation: DPM-Solver++(2M)."""

from __future__ import annotations

import math

from torch import Tensor

from zoo import component

from ..paths.base import Path
from .base import DiffusionSolver, Predict


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

    def begin(self) -> None:
        self._before: tuple[Tensor, float] | None = None

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        now, then = path.level(t), path.level(after)
        data = D = predict(x, t).data
        signal = now.alpha > 0.0 and then.alpha > 0.0
        h = math.log(float(then.alpha / then.sigma) / float(now.alpha / now.sigma)) if signal else math.inf
        if self._before is not None and signal:
            data_before, h_before = self._before
            D = data + 0.5 * h / h_before * (data - data_before)
        self._before = data, h
        growth = then.sigma / now.sigma
        return growth * x + (then.alpha - growth * now.alpha) * D
