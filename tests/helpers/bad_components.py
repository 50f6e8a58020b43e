"""Components that misbehave, each in one way."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Batch, Bijection, Clock, Conditioner, Event, Model, Part, Shape, Terms, component


@component("wrong_shape")
class WrongShape(Bijection):
    """Gives half of what it was asked for."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x[:, :1], x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z, z.new_zeros(len(z))


@component("wrong_log_det")
class WrongLogDet(WrongShape):
    """Sums its log-determinant over the batch."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x, x.new_zeros(())


@component("no_pair")
class NoPair(WrongShape):
    """Forgets its log-determinant."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x  # type: ignore[return-value]


@component("raises_in_forward")
class RaisesInForward(WrongShape):
    """Multiplies what cannot be multiplied."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x @ x.new_zeros(7, 7), x.new_zeros(len(x))


@component("raises_at_build")
class RaisesAtBuild(WrongShape):
    """Looks for what is not there."""

    def __init__(self, shape: Shape, *, size: int = 1) -> None:
        super().__init__(shape)
        self.choice = dict[str, int]()[f"size {size}"]


@component("bad_parent")
class BadParent(WrongShape):
    """Gives its conditioner something other than it declared."""

    def __init__(self, shape: Shape, *, conditioner: Part[Conditioner]) -> None:
        super().__init__(shape)
        self.net = conditioner(shape, shape)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.net(torch.cat([x, x], 1)), x.new_zeros(len(x))


@component("needs_values")
class NeedsValues(WrongShape):
    """Its control flow depends on values, so it cannot run on the meta device."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return (x if x.sum().item() < 1e9 else -x), x.new_zeros(len(x))


@component("vector_loss")
class VectorLoss(Model):
    """Its loss is not a scalar."""

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        loss = self.scale * batch[self.event.name].flatten(1).sum(1)
        return Terms(loss, {"nll": loss})


@component("plain_loss")
class PlainLoss(VectorLoss):
    """Returns a tensor where terms were asked for."""

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        return self.scale * batch[self.event.name].sum()  # type: ignore[return-value]
