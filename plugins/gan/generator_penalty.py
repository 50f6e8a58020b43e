"""Penalties of a generator: on how draws follow latents, or on its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from zoo import BatchStatistics, Clock, Component, Part, TrainingState, component

from .penalty import Penalized
from .weights import Weight, at

if TYPE_CHECKING:
    from zoo.testing import Laws

Images = Callable[[Tensor], Tensor]
"""The draws of latents, ``[B, L, D] -> [B, *shape]``."""


class HasStyles(ABC):
    """Generator in two parts: from noise to styles, and from styles to data."""

    @abstractmethod
    def styles(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The styles of all layers, ``[B, *in_shape] -> [B, L, D]``."""

    @abstractmethod
    def synthesis(self, w: Tensor) -> Tensor:
        """Data from styles, ``[B, L, D] -> [B, *out_shape]``."""


class GeneratorPenalty(Component, nn.Module, ABC):
    """Term of a generator's loss that does not depend on the discriminator.

    Shapes: latents ``[B, L, D]``, one of each of L layers; the penalty ``[B]``, or a scalar.
    """

    weight: Weight = 1.0
    """Factor of the penalty in the loss of the generator."""

    of_draws: ClassVar[bool] = True
    """Whether it is a function of single draws, so that a generator must not normalise over the batch."""

    @abstractmethod
    def forward(self, net: nn.Module, images: Images, w: Tensor) -> Tensor:
        """The penalty without its weight; derivatives of ``images`` are taken by ``torch.func``."""

    @classmethod
    def laws(cls) -> Laws:
        from .laws.generator_penalty import LAWS

        return LAWS


@component("path_length")
class PathLength(GeneratorPenalty, TrainingState):
    r"""Path length regularisation: steps of equal size in the latent change a draw by equally much.

    .. math::
        R = (\lVert J^\top y \rVert - a)^2, \qquad J = \partial G(w) / \partial w, \quad y \sim \mathcal N(0, I / HW)

    with the running mean :math:`a` of the norms, which is part of a checkpoint. The norm is the root of the mean over
    layers of squared norms; latents are the styles of a generator that has some, else the noise.

    Args:
        weight: The factor of the penalty in the loss: a number or a schedule.
        decay: The share of the past in the running mean.

    References: Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2019, arXiv:1912.04958, eq. 4;
    there the penalty is applied in every fourth step.

    >>> penalty = PathLength(decay=0.0)
    >>> penalty(nn.Identity(), lambda w: w * torch.ones(1, 4), torch.zeros(2, 1, 1)).shape
    torch.Size([2])
    """

    mean: Tensor

    def __init__(self, *, weight: Weight = 2.0, decay: Annotated[float, Field(ge=0, lt=1)] = 0.99) -> None:
        super().__init__()
        self.weight, self.decay = weight, decay
        self.register_training_state("mean", lambda: torch.zeros(()))

    def forward(self, net: nn.Module, images: Images, w: Tensor) -> Tensor:
        x, pull, *_ = torch.func.vjp(images, w)
        pixels = x[0, 0].numel() if x.dim() == 4 else 1
        gradient: Tensor = pull(torch.randn_like(x) / pixels**0.5)[0]  # [B, L, D]
        length: Tensor = gradient.square().sum(2).mean(1).sqrt()  # [B]
        with torch.no_grad():
            if self.training:
                self.mean.lerp_(length.detach().mean().to(self.mean.dtype), 1 - self.decay)
        return (length - self.mean).square()


@component("orthogonal")
class Orthogonal(GeneratorPenalty):
    r"""Orthogonal regularisation of BigGAN: rows of weights should be orthogonal, of any length.

    .. math:: R = \sum_W \lVert W W^\top \odot (1 - I) \rVert_F^2

    over all parameters with two axes or more, as matrices with a row for each entry of the first axis.

    Args:
        weight: The factor of the penalty in the loss, :math:`\beta`: a number or a schedule.

    References: Brock et al., Large Scale GAN Training for High Fidelity Natural Image Synthesis, 2018,
    arXiv:1809.11096, eq. 3.

    >>> net = nn.Linear(2, 2, bias=False)
    >>> _ = nn.init.constant_(net.weight, 1.0)
    >>> float(Orthogonal()(net, net, torch.zeros(1, 1, 2)).detach())    # two entries of 2, squared
    8.0
    """

    of_draws = False

    def __init__(self, *, weight: Weight = 1.0e-4) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, net: nn.Module, images: Images, w: Tensor) -> Tensor:
        rows = [p.flatten(1) for p in net.parameters() if p.dim() > 1]
        products = [W @ W.T for W in rows]
        return torch.stack([P.square().sum() - P.diagonal().square().sum() for P in products]).sum()


class GeneratorPenalties(nn.Module):
    """Penalties of a generator by name.

    ValueError for a penalty that is declared twice, and for one of single draws of a generator that normalises over the
    batch.
    """

    def __init__(self, parts: Sequence[Part[GeneratorPenalty]], net: nn.Module) -> None:
        super().__init__()
        self.names = [part.name for part in parts]
        self.of: Sequence[GeneratorPenalty] = nn.ModuleList(part() for part in parts)  # type: ignore[assignment]
        if len({*self.names}) < len(self.names):
            raise ValueError(f"each penalty may be declared once, got {', '.join(self.names)}")
        over_batch = [type(part).__name__ for part in net.modules() if isinstance(part, BatchStatistics)]
        for name, penalty in zip(self.names, self.of, strict=True):
            if over_batch and penalty.of_draws:
                raise ValueError(
                    f"penalty '{name}' is of each draw alone, but {over_batch[0]} in the generator normalises over the "
                    "batch: use a generator without batch normalisation"
                )

    def forward(self, net: nn.Module, images: Images, latents: Callable[[], Tensor], clock: Clock) -> Penalized:
        total: Tensor | float = 0.0
        logs: dict[str, Tensor] = {}
        weights: dict[str, Tensor] = {}
        if not self.of:
            return Penalized(total, logs, weights)
        w = latents()
        for name, penalty in zip(self.names, self.of, strict=True):
            values = penalty(net, images, w)
            weights[name], logs[name] = at(penalty.weight, clock), values
            total = total + weights[name] * values.mean()
        return Penalized(total, logs, weights)
