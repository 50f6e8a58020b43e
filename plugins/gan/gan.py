"""Generative adversarial network."""

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
    Shape,
    TakesContext,
    Terms,
    component,
    named,
)

from ..shared.context import Context, check_context, vectors_of
from .adversarial import Adversarial
from .augment import JointAugmentation
from .generator_penalty import GeneratorPenalties, GeneratorPenalty, HasStyles
from .heads import DiscriminatorHead
from .penalty import Penalties, Penalty
from .scale import is_bounded, of_signed, signed


class Discriminator(nn.Module):
    """A network and its head."""

    def __init__(self, event: Event, net: Part[Encoder], head: Part[DiscriminatorHead]) -> None:
        super().__init__()
        self.head = head(event)
        self.net = net(event.shape, self.head.encoded)

    def forward(self, x: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor]:
        """The logits ``[B]``, and what the head had them from, ``[B, *encoded]``."""
        h = self.net(x)
        return self.head(h, label), h


class Generator(nn.Module):
    """A network, the distribution of its noise, and its context.

    A network that takes a context gets it so; any other gets it with the noise.
    """

    def __init__(
        self, event: Event, net: Part[Decoder], prior: Distribution, codes: int, context: Context | None
    ) -> None:
        super().__init__()
        takes = issubclass(net.cls, TakesContext)
        given = 0 if context is None or takes else context.size
        self.prior = prior.requires_grad_(False)
        self.context = context
        self.net: nn.Module = net(Shape(prior.shape.size + codes + given), event.shape)
        if takes:
            check_context(context, self.net)

    def forward(self, z: Tensor, given: Condition | None) -> Tensor:
        y: Tensor = self.net(*self._arguments(z, given))
        return y

    def styles(self, z: Tensor, given: Condition | None) -> Tensor:
        """The latents that a draw follows, ``[n, L, D]``: styles of a network that has some, otherwise the noise."""
        if isinstance(self.net, HasStyles):
            return self.net.styles(*self._arguments(z, given))
        return z.unsqueeze(1)

    def of_styles(self, w: Tensor, given: Condition | None) -> Tensor:
        """The inverse way, from these latents to what the network gives."""
        y: Tensor = self.net.synthesis(w) if isinstance(self.net, HasStyles) else self(w[:, 0], given)
        return y

    def _arguments(self, z: Tensor, given: Condition | None) -> tuple[Tensor, ...]:
        c = vectors_of(self.context, given)
        if c is None:
            return (z,)
        return (z, c) if isinstance(self.net, TakesContext) else (torch.cat([z, c], dim=1),)


@component(
    "gan",
    example={"latent": 3, "generator": "mlp", "discriminator": "mlp"},
    added={"generator_penalties": []},
)
class GAN(Model, Decodes):
    r"""Generative adversarial network: a generator of data from noise, against a discriminator of data and draws.

    .. math::
        x = G(z), \quad z \sim p(z), \qquad
        L_D = \mathrm E[\ell_D(D(x), D(G(z)))] + \sum_i \lambda_i \mathrm E[R_i], \qquad
        L_G = \mathrm E[\ell_G(D(x), D(G(z)))] + \sum_j \mu_j \mathrm E[Q_j]

    Two players, ``discriminator`` and ``generator``, are trained in turn: ``train.players`` sets their optimizers,
    schedules and updates, ``train.ema: {decay: 0.999, players: [generator]}`` averages the generator alone. A draw is a
    function of its own noise and label.

    Networks see data with levels or a range between -1 and 1, and draws are rounded to the nearest level. Given a
    ``context``, the generator gets it as its own context, or with the noise where it takes none.

    Logs ``adversarial``, the loss :math:`\ell`, ``real`` and ``fake``, the logits, and each penalty and further term
    without its weight.

    Args:
        latent: The size of the noise, :math:`z`.
        generator: The network :math:`G`.
        discriminator: The network of :math:`D`, up to its head.
        adversarial: The losses :math:`\ell_D` and :math:`\ell_G`.
        penalties: The penalties :math:`R_i` of the discriminator, with weights :math:`\lambda_i`.
        generator_penalties: The penalties :math:`Q_j` of the generator, with weights :math:`\mu_j`.
        head: The head of the discriminator.
        prior: The distribution of the noise, :math:`p(z)`.
        context: What draws are conditioned on, for the generator; ``null`` for an unconditional model.
        augment: The change of data and draws that the discriminator sees; ``null`` for none.
        output: ``tanh`` for draws within bounds by a hyperbolic tangent, ``linear`` for the network's output, which
            bounded data is clamped from; ``null`` is ``tanh`` for bounded data.
        updates: The number of steps of the discriminator, each on another batch, for one of the generator.

    ValueError for a gradient penalty of a discriminator that normalises over the batch, for a path length of such a
    generator, for a head that needs labels
    without a context, and for a context that the head does not see.

    References: Goodfellow et al., Generative Adversarial Networks, 2014, arXiv:1406.2661.

    Shapes: data ``[B, *event.shape]``; latents ``[n, latent + codes]``, with the codes of the head.

    >>> import zoo
    >>> node = {"type": "gan", "latent": 3, "generator": "mlp", "discriminator": "mlp"}
    >>> zoo.declare(Model, node)(Event("point", Shape(2))).sample(5).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        event: Event,
        *,
        latent: PositiveInt,
        generator: Part[Decoder],
        discriminator: Part[Encoder],
        adversarial: Part[Adversarial] = named("non_saturating"),
        penalties: list[Part[Penalty]] = [],  # noqa: B006
        generator_penalties: list[Part[GeneratorPenalty]] = [],  # noqa: B006
        head: Part[DiscriminatorHead] = named("plain"),
        prior: Part[Distribution] = named("standard_normal"),
        context: Part[Context] | None = None,
        augment: Part[JointAugmentation] | None = None,
        output: Literal["tanh", "linear"] | None = None,
        updates: PositiveInt = 1,
    ) -> None:
        super().__init__(event)
        self.updates = updates
        self.adversarial = adversarial()
        self.discriminator = Discriminator(event, discriminator, head)
        self.penalties = Penalties(penalties, self.discriminator)
        taken = None if context is None else context(event)
        self.generator = Generator(event, generator, prior(Shape(latent)), self.head.codes, taken)
        self.generator_penalties = GeneratorPenalties(generator_penalties, self.generator)
        self.conditioned_on = () if taken is None else taken.sources
        self.augment = None if augment is None else augment(event.shape)
        self.squashes = is_bounded(event) if output is None else output == "tanh"
        self._check()

    @property
    def head(self) -> DiscriminatorHead:
        return self.discriminator.head

    def _check(self) -> None:
        given = "label" in self.conditions
        if self.head.needs_labels and not given:
            raise ValueError(f"the head {type(self.head).__name__} needs labels: set 'context', such as one_hot")
        if self.conditions and not self.head.needs_labels:
            raise ValueError("the discriminator does not see the context: set 'head' to projection or auxiliary")

    def players(self) -> Sequence[Player]:
        return (
            Player("discriminator", "discriminator.*", self.updates),
            Player("generator", "generator.*"),
        )

    # -- training ----------------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x = signed(batch[self.event.name], self.event, next(self.discriminator.parameters()))
        given = self.given(batch)
        if clock.player == "generator":
            return self._generator_turn(x, given, clock)
        return self._discriminator_turn(x, given, clock)

    def _discriminator_turn(self, x: Tensor, given: Condition | None, clock: Clock) -> Terms:
        with torch.no_grad():
            self.penalties.constrain(self.discriminator)
            z = self._noise(len(x))
            x, y = self._seen(x), self._seen(self._generate(z, given))
        label = None if given is None else given.get("label")
        real, h_real = self.discriminator(x, label)
        fake, h_fake = self.discriminator(y, label)
        if self.augment is not None and self.training:
            self.augment.observe(real)
        loss = self.adversarial.discriminator(real, fake)
        extra = self.penalties(lambda points: self.discriminator(points, label)[0], x, y, clock)
        logs = {"adversarial": loss, "real": real, "fake": fake, **extra.logs}
        total = loss.mean() + extra.total
        further = {f"{name}_real": term for name, term in self.head.auxiliary(h_real, label, None).items()}
        further |= self.head.auxiliary(h_fake, label, self._code(z))
        for name, (weight, values) in further.items():
            logs[name] = values
            total = total + weight * values.mean()
        return Terms(total, logs, extra.weights)

    def _generator_turn(self, x: Tensor, given: Condition | None, clock: Clock) -> Terms:
        label = None if given is None else given.get("label")
        z = self._noise(len(x))
        fake, h = self.discriminator(self._seen(self._generate(z, given)), label)
        real = None
        if self.adversarial.paired:
            with torch.no_grad():
                real, _ = self.discriminator(self._seen(x), label)
        loss = self.adversarial.generator(real, fake)
        extra = self.generator_penalties(
            self.generator.net,
            lambda w: self._squashed(self.generator.of_styles(w, given)),
            lambda: self.generator.styles(z, given),
            clock,
        )
        logs = {"adversarial": loss, **extra.logs}
        total = loss.mean() + extra.total
        for name, (weight, values) in self.head.auxiliary(h, label, self._code(z)).items():
            logs[name] = values
            total = total + weight * values.mean()
        return Terms(total, logs, extra.weights)

    def _seen(self, x: Tensor) -> Tensor:
        """Data or draws as the discriminator sees them."""
        changed: Tensor = x if self.augment is None else self.augment(x)
        return changed

    def after_step(self, clock: Clock) -> None:
        self.penalties.constrain(self.discriminator)

    # -- draws -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def draw_latent(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self._noise(n, temperature)

    def decode(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return of_signed(self._generate(z, context), self.event)

    def _noise(self, n: int, temperature: float = 1.0) -> Tensor:
        z = self.generator.prior.sample(n, None, temperature)  # [n, latent]
        return torch.cat([z, self.head.draw_codes(n, temperature)], dim=1) if self.head.codes else z

    def _code(self, z: Tensor) -> Tensor | None:
        """The codes in latents, ``[n, codes]``."""
        return z[:, -self.head.codes :] if self.head.codes else None

    def _generate(self, z: Tensor, given: Condition | None) -> Tensor:
        """Draws on the scale of the discriminator, ``[n, latent + codes] -> [n, *event.shape]``."""
        return self._squashed(self.generator(z, given))

    def _squashed(self, y: Tensor) -> Tensor:
        return y.tanh() if self.squashes else y
