"""The laws of the kinds of diffusion models find planted defects, one for each law."""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from zoo import Shape, declare
from zoo.testing import LawBroken

if TYPE_CHECKING:
    from plugins.diffusion.couplings import Independent, MinibatchOT
    from plugins.diffusion.guidance.by_file import Autoguidance, ClassifierGuidance
    from plugins.diffusion.guidance.labels import ClassifierFree, Evaluate, Given
    from plugins.diffusion.nets.time_mlp import TimeMLP
    from plugins.diffusion.paths.base import Level, Path
    from plugins.diffusion.paths.closed import EDM, Rectified, VariancePreserving
    from plugins.diffusion.solvers.base import Predict, ddim_step
    from plugins.diffusion.solvers.grid import Karras
    from plugins.diffusion.solvers.multistep import DPMPP2M, DPMPP3M, UniPC
    from plugins.diffusion.solvers.one_step import DDIM, Heun
    from plugins.diffusion.targets import Preconditioned, Prediction, V
    from plugins.diffusion.times import LogNormal, LowDiscrepancy, TimeSampler
    from plugins.diffusion.weightings import MinSNR
else:
    from zoo.plugins.diffusion.couplings import Independent, MinibatchOT
    from zoo.plugins.diffusion.guidance.by_file import Autoguidance, ClassifierGuidance
    from zoo.plugins.diffusion.guidance.labels import ClassifierFree, Evaluate, Given
    from zoo.plugins.diffusion.nets.time_mlp import TimeMLP
    from zoo.plugins.diffusion.paths.base import Level, Path
    from zoo.plugins.diffusion.paths.closed import EDM, Rectified, VariancePreserving
    from zoo.plugins.diffusion.solvers.base import Predict, ddim_step
    from zoo.plugins.diffusion.solvers.grid import Karras
    from zoo.plugins.diffusion.solvers.multistep import DPMPP2M, DPMPP3M, UniPC
    from zoo.plugins.diffusion.solvers.one_step import DDIM, Heun
    from zoo.plugins.diffusion.targets import Preconditioned, Prediction, V
    from zoo.plugins.diffusion.times import LogNormal, LowDiscrepancy, TimeSampler
    from zoo.plugins.diffusion.weightings import MinSNR


def laws(of: str) -> Any:
    return import_module(f"zoo.plugins.diffusion.laws.{of}").LAWS


# -- paths -------------------------------------------------------------------------------------------------------------


class Undefined(VariancePreserving):
    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha, sigma = super().coefficients(t)
        return alpha, torch.where(t == self.end, torch.nan, sigma)


class Rising(Rectified):
    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha, sigma = super().coefficients(t)
        return sigma, alpha


class Offset(EDM):
    def coefficients(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), t + 0.008


class StillSignal(VariancePreserving):
    def __init__(self) -> None:
        super().__init__(high=8.0)


class HalfRate(VariancePreserving):
    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor]:
        d_alpha, d_sigma = super().derivatives(t)
        return d_alpha, 0.5 * d_sigma


class NotPreserving(EDM):
    norm = "variance"


class Rounded(VariancePreserving):
    def time_of(self, log_snr: Tensor) -> Tensor:
        return (super().time_of(log_snr) * 1000).round() / 1000


class Falling(EDM):
    def number(self, t: Tensor) -> Tensor:
        return 1000.0 - super().number(t)


# -- targets -----------------------------------------------------------------------------------------------------------


class Negated(V):
    def of(self, data: Tensor, noise: Tensor, level: Level) -> Tensor:
        return -super().of(data, noise, level)


class Clipped(V):
    def predicted(self, output: Tensor, x: Tensor, level: Level) -> Prediction:
        found = super().predicted(output, x, level)
        return Prediction(found.data.clamp(-1.0, 1.0), found.noise)


class ErrorOfTheData(V):
    def noise_error(self, level: Level) -> Tensor | float:
        return level.sigma


class SkipsAll(Preconditioned):
    def predicted(self, output: Tensor, x: Tensor, level: Level) -> Prediction:
        found = super().predicted(output, x, level)
        return Prediction(1.01 * found.data, found.noise)


class WithoutItsScale(Preconditioned):
    def scale(self, level: Level) -> Tensor | float:
        return super().scale(level) if isinstance(level.alpha, Tensor) else 1.0


# -- weightings, times, grids ------------------------------------------------------------------------------------------


class Negative(MinSNR):
    def __call__(self, log_snr: Tensor) -> Tensor:
        return super().__call__(log_snr) - 0.1


class Spiky(MinSNR):
    def __call__(self, log_snr: Tensor) -> Tensor:
        return super().__call__(log_snr) + 50.0 * ((log_snr - 0.9549).abs() < 0.003)


class OfTheBatch(MinSNR):
    def __call__(self, log_snr: Tensor) -> Tensor:
        w = super().__call__(log_snr)
        return w / w.mean()


class BeyondTheEnd(LogNormal):
    def quantile(self, u: Tensor) -> Tensor:
        return 1.5 * super().quantile(u)


class WithoutTheCut(LogNormal):
    def density(self, t: Tensor) -> Tensor:
        return 0.9 * super().density(t)


class OfTheLogSNR(LogNormal):
    def density(self, t: Tensor) -> Tensor:
        return super().density(t) / self.path.slope(t)


class Backwards(LogNormal):
    def quantile(self, u: Tensor) -> Tensor:
        return super().quantile(1.0 - u)


class InOrder(LowDiscrepancy):
    def uniforms(self, n: int, like: Tensor) -> Tensor:
        return (torch.rand((), dtype=like.dtype) + torch.arange(n)) / n


class Doubled(Karras):
    """The last two times are one: a step that is none."""

    def times(self, path: Path, count: int) -> tuple[float, ...]:
        times = super().times(path, count)
        return (*times[:-1], times[-2]) if count > 2 else times


class Constant(Karras):
    def moment(self, path: Path, s: float) -> tuple[float, float]:
        return super().moment(path, s)[0], path.start - path.end


# -- solvers -----------------------------------------------------------------------------------------------------------


class EqualSteps(DPMPP2M):
    """The common defect: it extrapolates by 3/2 and -1/2 whatever the steps."""

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        if self._before is not None and math.isfinite(self._before[1]):
            now, then = path.level(t), path.level(after)
            h = math.log(float(then.alpha / then.sigma) / float(now.alpha / now.sigma))
            self._before = self._before[0], h
        return super().step(predict, path, x, t, after)


class SlowStart(DPMPP3M):
    """The published start: its first step is of order 1, and so the whole is of order 2."""

    order = 3

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        if self._seen:
            return super().step(predict, path, x, t, after)
        super().step(predict, path, x, t, after)
        return ddim_step(predict(x, t), path, after)


class SmoothGrid(UniPC):
    """Its nodes are at equal distances, whatever the steps were."""

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        now, then = path.level(t), path.level(after)
        h = math.log(float(then.alpha / then.sigma) / float(now.alpha / now.sigma))
        here = math.log(float(now.alpha / now.sigma))
        self._seen = [one._replace(at=here - (i + 1) * h) for i, one in enumerate(self._seen)]
        return super().step(predict, path, x, t, after)


class NotANumber(DDIM):
    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        return super().step(predict, path, x, t, after) + (math.nan if path.level(t).alpha == 0.0 else 0.0)


class Twice(DDIM):
    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        predict(x, t)
        return super().step(predict, path, x, t, after)


class OnlyForwards(Heun):
    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        return super().step(predict, path, x, t, min(t, after))


class Remembering(DDIM):
    seen = 0

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        self.seen += 1
        return super().step(predict, path, x, t, after) + 1e-6 * self.seen


# -- couplings ---------------------------------------------------------------------------------------------------------


class WithReplacement(MinibatchOT):
    """Pairs are drawn from the plan: some noise is used twice."""

    def __call__(self, data: Tensor, noise: Tensor, labels: Tensor | None) -> Tensor:
        return noise[(data.flatten(1) @ noise.flatten(1).T).argmax(1)]


class AcrossClasses(MinibatchOT):
    def __call__(self, data: Tensor, noise: Tensor, labels: Tensor | None) -> Tensor:
        return super().__call__(data, noise, None)


class Rolled(Independent):
    def __call__(self, data: Tensor, noise: Tensor, labels: Tensor | None) -> Tensor:
        return noise.roll(1, 0)


class NotIndependent(MinibatchOT):
    independent = True


# -- guidance and networks ---------------------------------------------------------------------------------------------


class ThreeChannels(ClassifierFree):
    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, given: Given) -> Prediction:
        guided, plain = super().__call__(evaluate, x, level, given), evaluate(x, given.context)
        return Prediction(*(torch.cat((a[:, :3], b[:, 3:]), 1) for a, b in zip(guided, plain, strict=True)))


class Mixed(ClassifierFree):
    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, given: Given) -> Prediction:
        assert given.context is not None
        mean = given.context.mean(0).expand_as(given.context)
        return super().__call__(evaluate, x, level, given._replace(context=mean))


class OnlyNoise(ClassifierFree):
    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, given: Given) -> Prediction:
        return Prediction(evaluate(x, given.context).data, super().__call__(evaluate, x, level, given).noise)


class Biased(Autoguidance):
    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, given: Given) -> Prediction:
        found = super().__call__(evaluate, x, level, given)
        return Prediction(found.data + 0.1, found.noise - 0.1 * level.alpha / level.sigma)


class Inverted(ClassifierFree):
    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, given: Given) -> Prediction:
        return super().__call__(evaluate, x, level, given._replace(context=given.null, null=given.context))


class LessOne(Autoguidance):
    """The scale of papers that write it as 1 + w."""

    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, given: Given) -> Prediction:
        whole = Autoguidance(file="", scale=self.scale + 1.0)
        whole.worse = self.worse
        return whole(evaluate, x, level, given)


class WrongSign(ClassifierGuidance):
    """Noise and data are changed alike."""

    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, given: Given) -> Prediction:
        found, plain = super().__call__(evaluate, x, level, given), evaluate(x, given.context)
        return Prediction(2.0 * plain.data - found.data, found.noise)


class RandomLast(TimeMLP):
    def __init__(self, in_shape: Shape, out_shape: Shape) -> None:
        super().__init__(in_shape, out_shape, width=8)
        torch.nn.init.ones_(self.last.get_parameter("weight"))


class Unused(TimeMLP):
    def __init__(self, in_shape: Shape, out_shape: Shape) -> None:
        super().__init__(in_shape, out_shape, width=8)
        self.more = torch.nn.Linear(2, 2)


class Timeless(TimeMLP):
    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(x, torch.zeros_like(c), context)


class Single(TimeMLP):
    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(x, c, context).float()


VP, POINT = VariancePreserving(), (Shape(2), Shape(2))
PLANTED: list[tuple[str, type[Any], tuple[Any, ...], str]] = [
    ("path", Undefined, (), "coefficients_are_finite"),
    ("path", Rising, (), "log_snr_falls"),
    ("path", Offset, (), "begins_with_data"),
    ("path", StillSignal, (), "ends_with_noise"),
    ("path", HalfRate, (), "derivatives_are_those_of_autograd"),
    ("path", NotPreserving, (), "norm_is_constant"),
    ("path", Rounded, (), "times_come_back"),
    ("path", Falling, (), "numbers_rise"),
    ("target", Negated, (VP,), "conversions_come_back"),
    ("target", Clipped, (VP,), "predictions_make_up_their_input"),
    ("target", ErrorOfTheData, (VP,), "errors_are_those_of_the_noise"),
    ("target", SkipsAll, (VP,), "mean_target_is_that_of_the_mean"),
    ("target", WithoutItsScale, (VP,), "numbers_do_as_tensors"),
    ("weighting", Negative, (VP,), "weights_are_not_negative"),
    ("weighting", Spiky, (VP,), "weights_change_smoothly"),
    ("weighting", OfTheBatch, (VP,), "weights_are_of_single_levels"),
    ("times", BeyondTheEnd, (VP,), "times_are_on_the_path"),
    ("times", WithoutTheCut, (VP,), "density_is_that_of_the_draws"),
    ("times", OfTheLogSNR, (VP,), "expected_loss_is_an_integral"),
    ("times", Backwards, (VP,), "quantiles_rise"),
    ("grid", Doubled, (), "times_fall_from_noise_to_data"),
    ("grid", Constant, (), "rate_is_the_derivative"),
    ("solver", EqualSteps, (), "order_is_kept_on_irregular_steps"),
    ("solver", SlowStart, (), "order_is_kept_on_irregular_steps"),
    ("solver", SmoothGrid, (), "order_is_kept_on_irregular_steps"),
    ("solver", NotANumber, (), "few_steps_are_finite"),
    ("solver", Twice, (), "evaluations_are_those_declared"),
    ("solver", OnlyForwards, (), "backwards_undoes_forwards"),
    ("solver", Remembering, (), "rows_are_alone"),
    ("coupling", WithReplacement, (), "each_noise_is_used_once"),
    ("coupling", AcrossClasses, (), "noise_stays_with_its_label"),
    ("coupling", Rolled, (), "one_example_has_its_noise"),
    ("coupling", NotIndependent, (), "independence_is_what_was_declared"),
    ("guidance", OnlyNoise, (), "predictions_make_up_their_input"),
    ("guidance", WrongSign, (), "predictions_make_up_their_input"),
    ("guidance", Mixed, (), "rows_are_alone"),
    ("guidance", Biased, (), "labels_do_not_matter_without_a_difference"),
    ("guidance", ThreeChannels, (), "all_channels_are_guided"),
    ("guidance", Inverted, (), "scale_is_linear"),
    ("guidance", LessOne, (), "scale_is_linear"),
    ("denoiser", RandomLast, POINT, "starts_at_zero"),
    ("denoiser", Unused, POINT, "all_parameters_learn"),
    ("denoiser", Timeless, POINT, "examples_are_alone"),
    ("denoiser", Single, POINT, "dtype_follows"),
]


def build(cls: type[Any], given: tuple[Any, ...]) -> Any:
    parts = import_module("zoo.plugins.diffusion.solvers.grid")
    if issubclass(cls, LowDiscrepancy):
        return cls(*given, of=declare(TimeSampler, "log_normal"))
    if issubclass(cls, DPMPP2M | DPMPP3M | UniPC | DDIM | Heun):
        return cls(grid=parts.UniformGrid)
    return cls(*given, file="") if issubclass(cls, Autoguidance | ClassifierGuidance) else cls(*given)


@pytest.mark.parametrize(("of", "cls", "given", "law"), PLANTED, ids=lambda x: getattr(x, "__name__", None))
def test_a_planted_defect_is_found(of: str, cls: type[Any], given: tuple[Any, ...], law: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(LawBroken):
        laws(of).hold(build(cls, given), laws(of).by_name[law])


def test_low_discrepancy_in_order_is_found() -> None:
    torch.manual_seed(0)
    with pytest.raises(LawBroken, match="a place of the batch has times of another distribution"):
        laws("times").by_name["a_batch_has_the_mean"](build(InOrder, (VP,)))


def test_each_law_has_a_planted_defect() -> None:
    found = {(of, law) for of, _, _, law in PLANTED}
    found |= {("times", "a_batch_has_the_mean")}
    assert found == {
        (of, law)
        for of in ("path", "target", "weighting", "times", "grid", "solver", "coupling", "guidance", "denoiser")
        for law in laws(of).by_name
    }
