"""Laws of targets: conversions that come back, with no error where the prediction has none."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.testing import Laws, require

from ..paths.base import Level, Path
from ..paths.closed import EDM, Cosine, VariancePreserving
from ..targets import Target
from .gaussian import MEAN, VARIANCE, denoised

N = 64


def _levels(target: Target) -> tuple[Tensor, Tensor, Tensor, Level]:
    """Data, noise and what they are mixed to at levels from little noise to much, ``[N, 4]``."""
    path = getattr(target, "path", None) or VariancePreserving()
    generator = torch.Generator().manual_seed(0)
    data, noise = (torch.randn(N, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    data = MEAN + VARIANCE.sqrt() * data
    level = path.levels(torch.linspace(0.05, 0.95, N, dtype=torch.float64) * path.end, 2)
    return data, noise, level.alpha * data + level.sigma * noise, level


def _off(found: Tensor, wanted: Tensor) -> float:
    return float(((found - wanted).abs() / (1.0 + wanted.abs())).max())


def conversions_come_back(target: Target) -> None:
    """Data and noise of a perfect output are those that it was made of; so are velocity and score."""
    for path in (VariancePreserving(), EDM(), Cosine()):
        data, noise, x, level = _on(target, path)
        found = target.predicted(target.of(data, noise, level), x, level)
        for name, value, wanted in (
            ("data", found.data, data),
            ("noise", found.noise, noise),
            ("velocity", found.velocity(level), level.d_alpha * data + level.d_sigma * noise),
            ("score", found.score(level), -noise / level.sigma),
        ):
            require(_off(value, wanted) <= 1e-9, f"the {name} is off by {_off(value, wanted):.2g} of its size")


def predictions_make_up_their_input(target: Target) -> None:
    """Whatever a network outputs, data and noise make up its input."""
    _, _, x, level = _levels(target)
    found = target.predicted(torch.sin(3.0 * x), x, level)
    off = _off(level.alpha * found.data + level.sigma * found.noise, x)
    require(off <= 1e-9, f"data and noise make up the input but for {off:.2g} of its size")


def errors_are_those_of_the_noise(target: Target) -> None:
    """`noise_error` is what an error of the output does to the noise."""
    _, _, x, level = _levels(target)
    output = torch.sin(3.0 * x)
    change = target.predicted(output + 1.0, x, level).noise - target.predicted(output, x, level).noise
    wanted = torch.as_tensor(target.noise_error(level)).expand_as(change)
    require(_off(change.abs(), wanted) <= 1e-9, f"noise_error is off by {_off(change.abs(), wanted):.2g} of its size")


def mean_target_is_that_of_the_mean(target: Target) -> None:
    """The target is linear: that of the mean data and noise gives them back, as a network that has learned it does."""
    _, _, x, level = _levels(target)
    mean = denoised(x, level)
    found = target.predicted(target.of(mean.data, mean.noise, level), x, level)
    off = max(_off(found.data, mean.data), _off(found.noise, mean.noise))
    require(off <= 1e-9, f"the mean data and noise are off by {off:.2g} of their size")


def numbers_do_as_tensors(target: Target) -> None:
    """A level of numbers, as solvers have, gives what a level of tensors does."""
    path = VariancePreserving()
    x, level = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), path.level(0.4)
    tensors = path.levels(torch.full((3,), 0.4, dtype=torch.float64), 2)
    for a, b in zip(target.predicted(x, x, level), target.predicted(x, x, tensors), strict=True):
        require(_off(a, b) <= 1e-9, "a level of numbers gives another prediction than one of tensors")
    require(abs(float(target.scale(level)) - float(torch.as_tensor(target.scale(tensors)).flatten()[0])) <= 1e-9,
            "a level of numbers gives another scale of the input than one of tensors")  # fmt: skip


def _on(target: Target, path: Path) -> tuple[Tensor, Tensor, Tensor, Level]:
    generator = torch.Generator().manual_seed(0)
    data, noise = (torch.randn(N, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    level = path.levels(torch.linspace(0.05, 0.95, N, dtype=torch.float64) * path.end, 2)
    return data, noise, level.alpha * data + level.sigma * noise, level


LAWS = Laws.of(
    conversions_come_back,
    predictions_make_up_their_input,
    errors_are_those_of_the_noise,
    mean_target_is_that_of_the_mean,
    numbers_do_as_tensors,
    given=[(VariancePreserving(),)],
)
