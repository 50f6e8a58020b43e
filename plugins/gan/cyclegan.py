"""Image-to-image translation without pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt
from torch import Tensor, nn

from zoo import (
    Batch,
    Clock,
    Condition,
    Event,
    Model,
    Part,
    Player,
    Reconstructs,
    Samples,
    Shape,
    Terms,
    TrainingState,
    component,
    named,
)

from .adversarial import Adversarial
from .scale import is_bounded, of_signed, signed, unit_of_signed
from .translation import PatchDiscriminator, Translator, absolute_error, image_entry, of_patches


class ImagePool(nn.Module, TrainingState):
    """Translations of earlier steps, for a discriminator that does not forget them.

    Until it is full, images are stored and returned. From then on each is exchanged for a stored one with a probability
    of one half. The images are part of a checkpoint, but not of the share file; each process has its own. Without a
    size, and in evaluation, images are returned as they are.

    References: Shrivastava et al., Learning from Simulated and Unsupervised Images through Adversarial Training, 2016,
    arXiv:1612.07828, section 2.3.

    Shapes: images ``[B, *shape]``, unchanged.

    >>> pool = ImagePool(Shape(1, 1, 1), size=2)
    >>> x = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1)
    >>> pool(x).flatten().tolist(), pool.images.flatten().tolist()
    ([1.0, 2.0, 3.0], [1.0, 2.0])
    """

    images: Tensor | None
    filled: Tensor

    def __init__(self, shape: Shape, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_training_state("images", lambda: torch.zeros(size, *shape))
        self.register_training_state("filled", lambda: torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        if self.images is None or self.size == 0 or not self.training:
            return x
        n = min(len(x), self.size)
        new, place = x[:n], torch.arange(n, device=x.device)
        full = self.filled >= self.size
        free = self.filled + place < self.size
        rows = torch.where(full, torch.randperm(self.size, device=x.device)[:n], (self.filled + place) % self.size)
        swapped = full & (torch.rand(n, device=x.device) < 0.5)
        old = self.images[rows].to(x.dtype)
        each = (-1, *[1] * (x.dim() - 1))
        self.images.index_copy_(0, rows, torch.where((free | swapped).view(each), new, old).to(self.images.dtype))
        self.filled.add_(n).clamp_(max=self.size)
        return torch.cat([torch.where(swapped.view(each), old, new), x[n:]])


@component(
    "cyclegan",
    example={
        "generator": {"type": "resnet", "width": 4, "blocks": 1},
        "discriminator": {"type": "patchgan", "width": 4, "layers": 1},
    },
)
class CycleGAN(Model, Samples, Reconstructs):
    r"""Translation between two sets of images without pairs, by networks that undo each other.

    .. math::
        L_D = \mathrm E[\ell_D(D_X(x), D_X(G(y))) + \ell_D(D_Y(y), D_Y(F(x)))], \qquad
        L_{G, F} = \mathrm E[\ell_G(D_X(G(y))) + \ell_G(D_Y(F(x)))] + \lambda\, \mathrm E[C + \iota I],

    .. math::
        C = |G(F(x)) - x| + |F(G(y)) - y|, \qquad I = |G(x) - x| + |F(y) - y|

    for images :math:`x` of the data and conditions :math:`y`, another entry such as that of `unpaired`; absolute errors
    are means over the numbers of an image between -1 and 1. No term sees which condition an image comes with.
    Discriminators see translations of earlier steps as well, from a pool that a resumed run has.

    Draws are translations of conditions, :math:`G(y)`; codes are translations of data, :math:`F(x)`, and
    reconstructions :math:`G(F(x))`.

    Two players, ``discriminator`` for both of them and ``generator`` for both networks. Logs ``adversarial``, the loss,
    ``real`` and ``fake``, the logits, ``cycle`` and ``identity``, the absolute errors, all summed over the two sides.

    Args:
        generator: The networks :math:`G` and :math:`F`.
        discriminator: The networks :math:`D_X` and :math:`D_Y`.
        condition: The entry of :math:`y`; ``null`` for the only other entry of images.
        adversarial: The losses :math:`\ell_D` and :math:`\ell_G`.
        cycle: The weight :math:`\lambda`: the published 10 is for twice the loss of `least_squares`.
        identity: The weight :math:`\iota` of images that should not change, for sets of equally many channels.
        pool: The number of translations of earlier steps that are stored of each set; 0 for none.
        output: ``tanh`` for images within bounds by a hyperbolic tangent, ``linear`` for the networks' output, which
            bounded data is clamped from; ``null`` is ``tanh`` for bounded data.

    ValueError for data that is not of images or has no such entry, for sides that differ, and for a weight ``identity``
    of sets of different channels.

    References: Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, 2017,
    arXiv:1703.10593, eq. 3 and 4, section 4 and 5.2.

    Shapes: data ``[B, C, H, W]``, conditions and codes ``[B, C', H, W]``.

    >>> import zoo
    >>> nets = {"generator": {"type": "resnet", "width": 4}, "discriminator": {"type": "patchgan", "layers": 1}}
    >>> both = Event("image", Shape(1, 8, 8), levels=17, also=(Event("other", Shape(1, 8, 8), levels=17),))
    >>> model = zoo.declare(Model, {"type": "cyclegan", **nets})(both)
    >>> model.sample(2, {"other": torch.zeros(2, 1, 8, 8)}).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(
        self,
        event: Event,
        *,
        generator: Part[Translator],
        discriminator: Part[PatchDiscriminator],
        condition: str | None = None,
        adversarial: Part[Adversarial] = named("least_squares"),
        cycle: NonNegativeFloat = 5.0,
        identity: NonNegativeFloat = 0.5,
        pool: NonNegativeInt = 50,
        output: Literal["tanh", "linear"] | None = None,
    ) -> None:
        super().__init__(event)
        if len(event.shape) != 3:
            raise ValueError(f"translates images [C, H, W], got {event.shape}")
        self.other = image_entry(event, condition, "which images are translated from")
        self.conditioned_on = self.other.name
        x, y = event.shape, self.other.shape
        if identity and tuple(x) != tuple(y):
            raise ValueError(f"images {x} and {y} have different channels: set 'identity' to 0")
        self.adversarial = adversarial()
        self.cycle, self.identity = cycle, identity
        self.generators = nn.ModuleDict({"data": generator(y, x), "condition": generator(x, y)})
        self.discriminators = nn.ModuleDict({"data": discriminator(x), "condition": discriminator(y)})
        self.pools = nn.ModuleDict({"data": ImagePool(x, pool), "condition": ImagePool(y, pool)})
        self.output = output

    def players(self) -> Sequence[Player]:
        return Player("discriminator", "discriminators.*"), Player("generator", "generators.*")

    # -- training ----------------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x = self._signed(batch[self.event.name], self.event)
        y = self._signed(batch[self.other.name], self.other)
        return self._generator_turn(x, y) if clock.player == "generator" else self._discriminator_turn(x, y)

    def _discriminator_turn(self, x: Tensor, y: Tensor) -> Terms:
        with torch.no_grad():
            drawn = {"data": self._to_data(y), "condition": self._to_other(x)}
            fakes = {side: self.pools[side](fake) for side, fake in drawn.items()}
        found = []
        for side, real in (("data", x), ("condition", y)):
            logits = self.discriminators[side](real), self.discriminators[side](fakes[side])
            found.append([of_patches(each) for each in (self.adversarial.discriminator(*logits), *logits)])
        loss, real, fake = (sum(pair[1:], pair[0]) for pair in zip(*found, strict=True))
        return Terms(loss.mean(), {"adversarial": loss, "real": real, "fake": fake})

    def _generator_turn(self, x: Tensor, y: Tensor) -> Terms:
        x_fake, y_fake = self._to_data(y), self._to_other(x)
        loss = self._fooled("data", x, x_fake) + self._fooled("condition", y, y_fake)
        cycle = absolute_error(self._to_data(y_fake), x) + absolute_error(self._to_other(x_fake), y)
        weight = torch.full((), self.cycle, device=loss.device)
        logs, weights = {"adversarial": loss, "cycle": cycle}, {"cycle": weight}
        total = loss.mean() + weight * cycle.mean()
        if self.identity:
            logs["identity"] = absolute_error(self._to_data(x), x) + absolute_error(self._to_other(y), y)
            weights["identity"] = self.identity * weight
            total = total + weights["identity"] * logs["identity"].mean()
        return Terms(total, logs, weights)

    def _fooled(self, side: str, real: Tensor, fake: Tensor) -> Tensor:
        """The generator's adversarial loss at one side, ``[B]``."""
        logits = None
        if self.adversarial.paired:
            with torch.no_grad():
                logits = self.discriminators[side](real)
        return of_patches(self.adversarial.generator(logits, self.discriminators[side](fake)))

    # -- translations ------------------------------------------------------------------------------------------------

    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        if context is None:
            raise ValueError(f"this model translates images: pass '{self.other.name}' as context")
        return of_signed(self._to_data(self._signed(context[self.other.name], self.other)), self.event)

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        return self._to_other(self._signed(x, self.event))

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return unit_of_signed(self._to_data(z), self.event)

    def _signed(self, x: Tensor, event: Event) -> Tensor:
        return signed(x, event, next(self.generators.parameters()))

    def _to_data(self, y: Tensor) -> Tensor:
        """The translation :math:`G`, ``[B, C', H, W] -> [B, C, H, W]``, between -1 and 1."""
        return self._bounded(self.generators["data"](y), self.event)

    def _to_other(self, x: Tensor) -> Tensor:
        """The translation :math:`F`, ``[B, C, H, W] -> [B, C', H, W]``."""
        return self._bounded(self.generators["condition"](x), self.other)

    def _bounded(self, image: Tensor, event: Event) -> Tensor:
        squashes = is_bounded(event) if self.output is None else self.output == "tanh"
        return image.tanh() if squashes else image
