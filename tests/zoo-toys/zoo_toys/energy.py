"""Energy-based model with a replay buffer."""

from __future__ import annotations

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from zoo import (
    Batch,
    Clock,
    Condition,
    Conditioner,
    Event,
    Model,
    Part,
    Samples,
    Shape,
    Terms,
    TrainingState,
    component,
    named,
)


class Replay(nn.Module, TrainingState):
    """The last points of Markov chains, which training goes on from."""

    chains: Tensor

    def __init__(self, size: int, shape: Shape) -> None:
        super().__init__()
        self.register_training_state("chains", lambda: torch.randn(size, *shape))


@component("energy_model")
class EnergyModel(Model, Samples):
    r"""Energy-based model, learned by contrasting data with Langevin chains that go on from step to step.

    .. math::
        p(x) \propto \exp(-E(x)), \quad E(x) = f(x) + \tfrac12 \lVert x \rVert^2, \qquad
        L = \mathbb E_{data} E - \mathbb E_{chains} E, \qquad
        x \leftarrow x - \tfrac{\epsilon^2}{2} \nabla E(x) + \epsilon z

    A batch of chains is drawn from a replay buffer, goes on for some steps, and is put back. The logged terms are the
    energies of both. ValueError if the data has levels: Langevin dynamics needs a gradient.

    Args:
        net: The network :math:`f` from data to a number.
        chains: Number of chains in the replay buffer.
        steps: Langevin steps of a chain in a training step.
        epsilon: Step size :math:`\epsilon`.

    References: Tieleman, Training restricted Boltzmann machines using approximations to the likelihood gradient, ICML
    2008, section 2.

    >>> import zoo
    >>> model = EnergyModel(Event("point", Shape(2)), net=zoo.declare(Conditioner, "mlp"), chains=10)
    >>> model.sample(5).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        event: Event,
        *,
        net: Part[Conditioner] = named("mlp", width=64),
        chains: PositiveInt = 1000,
        steps: PositiveInt = 5,
        epsilon: PositiveFloat = 0.3,
    ) -> None:
        super().__init__(event)
        if event.levels is not None:
            raise ValueError(f"'{event.name}' has {event.levels} levels: Langevin dynamics needs continuous data")
        self.steps, self.epsilon = steps, epsilon
        self.net = net(event.shape, Shape(1))
        self.replay = Replay(chains, event.shape)

    def energy(self, x: Tensor) -> Tensor:
        """:math:`E(x)`, ``[B, *shape] -> [B]``."""
        f: Tensor = self.net(x)  # [B, 1]
        return f.squeeze(1) + 0.5 * x.flatten(1).square().sum(1)

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x = batch[self.event.name]
        chains = self.replay.chains
        chosen = torch.randint(len(chains), (len(x),), device=x.device)
        drawn = self.langevin(chains[chosen], self.steps)
        if self.training:
            chains.index_copy_(0, chosen, drawn)
        real, fake = self.energy(x), self.energy(drawn)  # [B]
        return Terms(real.mean() - fake.mean(), {"real": real, "fake": fake})

    def langevin(self, x: Tensor, steps: int, temperature: float = 1.0) -> Tensor:
        """Points after some steps of Langevin dynamics, ``[B, *shape]``."""
        for _ in range(steps):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                (slope,) = torch.autograd.grad(self.energy(x).sum(), x)
            x = x.detach() - 0.5 * self.epsilon**2 * slope + temperature**0.5 * self.epsilon * torch.randn_like(x)
        return x

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        p = next(self.parameters())
        return self.langevin(torch.randn(n, *self.event.shape, device=p.device, dtype=p.dtype), 20, temperature)
