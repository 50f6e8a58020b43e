"""Image-to-image translation from pairs: colourisation, super-resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import interpolate

from zoo import Batch, Clock, Condition, Event, Model, Part, Player, Samples, Shape, Terms, component, named

from .adversarial import Adversarial
from .scale import is_bounded, of_signed, signed
from .translation import PatchDiscriminator, Translator, absolute_error, image_entry, of_patches


@component(
    "pix2pix",
    example={"generator": {"type": "unet", "width": 4}, "discriminator": {"type": "patchgan", "width": 4, "layers": 1}},
)
class Pix2Pix(Model, Samples):
    r"""Translation of images, learned from pairs: of a grey image a coloured one, of a small one a large one.

    .. math::
        L_D = \mathrm E[\ell_D(D(c, x), D(c, G(c)))], \qquad
        L_G = \mathrm E[\ell_G(D(c, x), D(c, G(c)))] + \lambda\, \mathrm E\,|x - G(c)|

    for images :math:`x` with conditions :math:`c`, another entry of the data such as that of `degraded`; the absolute
    error is a mean over the numbers of an image between -1 and 1. A condition of smaller sides is enlarged bilinearly
    first. The discriminator has a logit for each patch, and losses are means over patches: what patches do not see is
    left to the absolute error.

    The noise of draws is in the generator's dropout. ``zoo sample RUN --given condition=IMAGE.png`` translates an
    image.

    Logs ``adversarial``, the loss, ``real`` and ``fake``, the logits, and ``absolute_error``.

    Args:
        generator: The network :math:`G`.
        discriminator: The network :math:`D`.
        condition: The entry that images are translated from; ``null`` for the only other entry of images.
        adversarial: The losses :math:`\ell_D` and :math:`\ell_G`.
        weight: The weight :math:`\lambda` of the absolute error.
        output: ``tanh`` for draws within bounds by a hyperbolic tangent, ``linear`` for the network's output, which
            bounded data is clamped from; ``null`` is ``tanh`` for bounded data.
        updates: The number of steps of the discriminator, each on another batch, for one of the generator.

    ValueError for data that is not of images, and without such an entry.

    References: Isola et al., Image-to-Image Translation with Conditional Adversarial Networks, 2016, arXiv:1611.07004.

    Shapes: data ``[B, C, H, W]``, conditions ``[B, C', H', W']``.

    >>> import zoo
    >>> grey = Event("grey", Shape(1, 16, 16), levels=256)
    >>> nets = {"generator": {"type": "unet", "width": 4}, "discriminator": {"type": "patchgan", "layers": 2}}
    >>> model = zoo.declare(Model, {"type": "pix2pix", **nets})
    >>> pairs = Event("image", Shape(3, 16, 16), levels=256, also=(grey,))
    >>> model(pairs).sample(2, {"grey": torch.zeros(2, 1, 16, 16)}).shape
    torch.Size([2, 3, 16, 16])
    """

    def __init__(
        self,
        event: Event,
        *,
        generator: Part[Translator],
        discriminator: Part[PatchDiscriminator],
        condition: str | None = None,
        adversarial: Part[Adversarial] = named("non_saturating"),
        weight: NonNegativeFloat = 100.0,
        output: Literal["tanh", "linear"] | None = None,
        updates: PositiveInt = 1,
    ) -> None:
        super().__init__(event)
        if len(event.shape) != 3:
            raise ValueError(f"translates images [C, H, W], got {event.shape}")
        self.source = image_entry(event, condition, "which images are translated from")
        self.conditioned_on = self.source.name
        self.adversarial = adversarial()
        self.weight, self.updates = weight, updates
        C, *sides = event.shape
        given = Shape(self.source.shape[0], *sides)
        self.generator = generator(given, event.shape)
        self.discriminator = discriminator(Shape(given[0] + C, *sides))
        self.squashes = is_bounded(event) if output is None else output == "tanh"

    def players(self) -> Sequence[Player]:
        return (
            Player("discriminator", "discriminator.*", self.updates),
            Player("generator", "generator.*"),
        )

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x = signed(batch[self.event.name], self.event, next(self.discriminator.parameters()))
        c = self._condition(batch[self.source.name])
        if clock.player == "generator":
            return self._generator_turn(x, c)
        with torch.no_grad():
            y = self._translate(c)
        real, fake = self._logits(c, x), self._logits(c, y)
        loss = of_patches(self.adversarial.discriminator(real, fake))
        return Terms(loss.mean(), {"adversarial": loss, "real": of_patches(real), "fake": of_patches(fake)})

    def _generator_turn(self, x: Tensor, c: Tensor) -> Terms:
        y = self._translate(c)
        real = None
        if self.adversarial.paired:
            with torch.no_grad():
                real = self._logits(c, x)
        loss, error = of_patches(self.adversarial.generator(real, self._logits(c, y))), absolute_error(x, y)
        weight = torch.full((), self.weight, device=loss.device)
        total = loss.mean() + weight * error.mean()
        return Terms(total, {"adversarial": loss, "absolute_error": error}, {"absolute_error": weight})

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        if context is None:
            raise ValueError(f"this model translates images: pass '{self.source.name}' as context")
        return of_signed(self._translate(self._condition(context[self.source.name])), self.event)

    def _condition(self, c: Tensor) -> Tensor:
        """The condition between -1 and 1, with the sides of the data, ``[B, C', H, W]``."""
        c = signed(c, self.source, next(self.generator.parameters()))
        _, *sides = self.event.shape
        return c if list(c.shape[2:]) == sides else interpolate(c, sides, mode="bilinear", align_corners=False)

    def _translate(self, c: Tensor) -> Tensor:
        """Images on the scale of the discriminator, ``[B, C', H, W] -> [B, C, H, W]``."""
        y: Tensor = self.generator(c)
        return y.tanh() if self.squashes else y

    def _logits(self, c: Tensor, x: Tensor) -> Tensor:
        """The logits of patches of pairs, ``[B, H', W']``."""
        logits: Tensor = self.discriminator(torch.cat([c, x], dim=1))
        return logits
