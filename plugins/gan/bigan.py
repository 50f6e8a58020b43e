"""Bidirectional generative adversarial network: a generator with an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import (
    Batch,
    Clock,
    Condition,
    Decoder,
    Decodes,
    Distribution,
    Encoder,
    Event,
    Model,
    Part,
    Player,
    Reconstructs,
    Shape,
    Terms,
    component,
    named,
)

from .adversarial import Adversarial
from .gan import Generator
from .penalty import Penalties, Penalty
from .scale import is_bounded, of_signed, signed, unit_of_signed


class JointDiscriminator(nn.Module):
    """Discriminator of pairs of data and codes: a network of the data, and one of its features and the code."""

    def __init__(self, event: Event, latent: int, net: Part[Encoder], features: int, joint: Part[Encoder]) -> None:
        super().__init__()
        self.net = net(event.shape, Shape(features))
        self.joint = joint(Shape(features + latent), Shape(1))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """The logits ``[B]`` of pairs, ``[B, *event.shape]`` and ``[B, latent]``."""
        h = torch.cat([self.net(x), z], dim=1)  # [B, features + latent]
        logit: Tensor = self.joint(h).squeeze(1)
        return logit


class CodeEncoder(nn.Module):
    """Encoder of data to a code, or to a normal distribution of codes."""

    def __init__(self, event: Event, latent: int, net: Part[Encoder], code: Literal["point", "normal"]) -> None:
        super().__init__()
        self.net = net(event.shape, Shape(latent if code == "point" else 2 * latent))
        self._draws = code == "normal"
        self._latent = latent

    def forward(self, x: Tensor) -> Tensor:
        """Codes in training, drawn where they are random: ``[B, *event.shape] -> [B, latent]``."""
        h: Tensor = self.net(x)
        if not self._draws:
            return h
        mean, log_sd = h.chunk(2, dim=1)  # [B, latent]
        return mean + log_sd.exp() * torch.randn_like(mean)

    def mean(self, x: Tensor) -> Tensor:
        """The code, or the mean of its distribution."""
        h: Tensor = self.net(x)
        return h[:, : self._latent]


@component(
    "bigan",
    example={"latent": 3, "generator": "mlp", "encoder": "mlp", "discriminator": "mlp", "features": 4},
)
class BiGAN(Model, Decodes, Reconstructs):
    r"""Generator and encoder, against a discriminator of pairs: data with its code, noise with its draw.

    .. math::
        L_D = \mathrm E[\ell_D(D(x, E(x)), D(G(z), z))] + \sum_i \lambda_i \mathrm E[R_i], \qquad
        L_{G, E} = \mathrm E[\ell_D(D(G(z), z), D(x, E(x)))], \qquad z \sim p(z)

    with the discriminator's loss :math:`\ell_D` and, for generator and encoder, the same with the two pairs exchanged.
    Where no discriminator can tell the pairs apart, their distributions are the same, and :math:`E` inverts :math:`G`:
    no loss of reconstruction is needed. The features and the code of a pair go through ``joint``.

    Two players, ``discriminator`` and ``generator``, of which the second moves the encoder as well. An encoder for the
    generator of a trained `gan` is learned with ``init_from: {file: RUN, match: "generator.*", freeze: true}``.

    Penalties are of pairs: a gradient is with respect to data and code.

    Logs ``adversarial``, the loss, ``real`` and ``fake``, the logits of the pairs, and each penalty without its weight.

    Args:
        latent: The size of the noise and of codes, :math:`z`.
        generator: The network :math:`G`.
        encoder: The network :math:`E`.
        discriminator: The network of :math:`D` that maps data to features.
        features: The number of these features.
        joint: The network of :math:`D` that maps features and a code to the logit.
        adversarial: The loss :math:`\ell_D`.
        penalties: The penalties :math:`R_i` of the discriminator, with weights :math:`\lambda_i`.
        code: ``point`` for an encoder that is a function, as in BiGAN; ``normal`` for one that gives means and
            logarithms of standard deviations of codes, as in ALI.
        prior: The distribution of the noise, :math:`p(z)`.
        output: ``tanh`` for draws within bounds by a hyperbolic tangent, ``linear`` for the network's output, which
            bounded data is clamped from; ``null`` is ``tanh`` for bounded data.
        updates: The number of steps of the discriminator, each on another batch, for one of the other player.

    ValueError for a gradient penalty of a discriminator that normalises over the batch.

    References: Donahue et al., Adversarial Feature Learning, 2016, arXiv:1605.09782, eq. 3, and section 3.4 for the
    exchange; Dumoulin et al., Adversarially Learned Inference, 2016, arXiv:1606.00704.

    Shapes: data ``[B, *event.shape]``; codes ``[B, latent]``.

    >>> import zoo
    >>> nets = {"generator": "mlp", "encoder": "mlp", "discriminator": "mlp", "features": 8}
    >>> model = zoo.declare(Model, {"type": "bigan", "latent": 3, **nets})(Event("point", Shape(2)))
    >>> model.reconstruct(model.sample(5)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        event: Event,
        *,
        latent: PositiveInt,
        generator: Part[Decoder],
        encoder: Part[Encoder],
        discriminator: Part[Encoder],
        features: PositiveInt,
        joint: Part[Encoder] = named("mlp"),
        adversarial: Part[Adversarial] = named("non_saturating"),
        penalties: list[Part[Penalty]] = [],  # noqa: B006
        code: Literal["point", "normal"] = "point",
        prior: Part[Distribution] = named("standard_normal"),
        output: Literal["tanh", "linear"] | None = None,
        updates: PositiveInt = 1,
    ) -> None:
        super().__init__(event)
        self.updates = updates
        self.adversarial = adversarial()
        self.discriminator = JointDiscriminator(event, latent, discriminator, features, joint)
        self.penalties = Penalties(penalties, self.discriminator)
        self.generator = Generator(event, generator, prior(Shape(latent)), 0, None)
        self.encoder = CodeEncoder(event, latent, encoder, code)
        self.squashes = is_bounded(event) if output is None else output == "tanh"

    def players(self) -> Sequence[Player]:
        return (
            Player("discriminator", "discriminator.*", self.updates),
            Player("generator", "*", but="discriminator.*"),
        )

    # -- training ----------------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x = signed(batch[self.event.name], self.event, next(self.discriminator.parameters()))
        z = self.draw_latent(len(x))
        if clock.player == "generator":
            real, fake = self.discriminator(x, self.encoder(x)), self.discriminator(self._generate(z), z)
            loss = self.adversarial.discriminator(fake, real)
            return Terms(loss.mean(), {"adversarial": loss})
        return self._discriminator_turn(x, z, clock)

    def _discriminator_turn(self, x: Tensor, z: Tensor, clock: Clock) -> Terms:
        with torch.no_grad():
            self.penalties.constrain(self.discriminator)
            code, y = self.encoder(x), self._generate(z)
        real, fake = self.discriminator(x, code), self.discriminator(y, z)
        loss = self.adversarial.discriminator(real, fake)
        extra = self.penalties(self._of_pairs, _pairs(x, code), _pairs(y, z), clock)
        logs = {"adversarial": loss, "real": real, "fake": fake, **extra.logs}
        return Terms(loss.mean() + extra.total, logs, extra.weights)

    def _of_pairs(self, pairs: Tensor) -> Tensor:
        """The logits of pairs in a row, ``[B, D + latent] -> [B]``."""
        D = self.event.shape.size
        logits: Tensor = self.discriminator(torch.unflatten(pairs[:, :D], 1, tuple(self.event.shape)), pairs[:, D:])
        return logits

    def after_step(self, clock: Clock) -> None:
        self.penalties.constrain(self.discriminator)

    # -- draws and codes ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def draw_latent(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.generator.prior.sample(n, None, temperature)

    def decode(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return of_signed(self._generate(z), self.event)

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        return self.encoder.mean(signed(x, self.event, next(self.encoder.parameters())))

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return unit_of_signed(self._generate(z), self.event)

    def _generate(self, z: Tensor) -> Tensor:
        """Draws on the scale of the discriminator, ``[n, latent] -> [n, *event.shape]``."""
        y: Tensor = self.generator(z, None)
        return y.tanh() if self.squashes else y


def _pairs(x: Tensor, z: Tensor) -> Tensor:
    """Data and codes in a row, ``[B, D + latent]``."""
    return torch.cat([x.flatten(1), z], dim=1)
