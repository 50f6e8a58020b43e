"""Generative adversarial network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import PositiveInt
from torch import Tensor
from torch.nn.functional import softplus

from zoo import (
    Batch,
    Clock,
    Condition,
    Conditioner,
    Event,
    Model,
    Part,
    Player,
    Samples,
    Shape,
    Terms,
    component,
    named,
)


@component("gan")
class GAN(Model, Samples):
    r"""Generative adversarial network with the non-saturating loss of the generator.

    .. math::
        L_D = -\mathbb E_x \log D(x) - \mathbb E_z \log(1 - D(G(z))), \qquad L_G = -\mathbb E_z \log D(G(z))

    with :math:`z \sim \mathcal N(0, I)` and :math:`D = \operatorname{sigmoid}` of a logit. The logged terms are those
    of the losses, in nats. ValueError if the data has levels: a generator needs the gradient of its samples.

    Args:
        generator: The network :math:`G` from a latent to data.
        discriminator: The network from data to the logit of :math:`D`.
        latent: The size of the latent :math:`z`.
        updates: The optimizer steps of the discriminator, each on another batch, for one of the generator.

    References: Goodfellow et al., Generative Adversarial Networks, 2014, arXiv:1406.2661, eq. 1 and section 3.

    >>> import zoo
    >>> event = Event("point", Shape(2))
    >>> gan = GAN(event, generator=zoo.declare(Conditioner, "mlp"), discriminator=zoo.declare(Conditioner, "mlp"))
    >>> gan.sample(5).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        event: Event,
        *,
        generator: Part[Conditioner] = named("mlp", width=64),
        discriminator: Part[Conditioner] = named("mlp", width=64),
        latent: PositiveInt = 2,
        updates: PositiveInt = 1,
    ) -> None:
        super().__init__(event)
        if event.levels is not None:
            raise ValueError(f"'{event.name}' has {event.levels} levels: a generator needs continuous data")
        self.latent, self.updates = latent, updates
        self.generator = generator(Shape(latent), event.shape)
        self.discriminator = discriminator(event.shape, Shape(1))

    def players(self) -> Sequence[Player]:
        return Player("discriminator", "discriminator.*", self.updates), Player("generator", "generator.*")

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x = batch[self.event.name]
        z = torch.randn(len(x), self.latent, device=x.device, dtype=x.dtype)
        if clock.player == "generator":
            fooled = softplus(-self.discriminator(self.generator(z)))  # [B, 1]: -log D(G(z))
            return Terms(fooled.mean(), {"fooled": fooled})
        real = softplus(-self.discriminator(x))
        fake = softplus(self.discriminator(self.generator(z).detach()))  # -log(1 - D(G(z)))
        return Terms(real.mean() + fake.mean(), {"real": real, "fake": fake})

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        p = next(self.generator.parameters())
        x: Tensor = self.generator(temperature * torch.randn(n, self.latent, device=p.device, dtype=p.dtype))
        return x
