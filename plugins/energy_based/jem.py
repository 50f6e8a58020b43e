"""Joint energy-based model: a classifier whose logits are an energy."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor
from torch.nn.functional import cross_entropy

from zoo import Batch, Clock, Condition, Encoder, Energy, Event, Part, Predicts, Shape, Terms, component, named

from ..shared.events import classes_of
from .chains.base import Chain
from .model import ChainModel
from .objectives.base import EnergyObjective
from .scale import signed


class LogitEnergy(Energy):
    r"""The energy of a classifier, :math:`U(x) = -\log \sum_y e^{f_y(x)}`."""

    def __init__(self, shape: Shape, classes: int, net: Part[Encoder]) -> None:
        super().__init__(shape)
        self.net = net(shape, Shape(classes))

    def logits(self, x: Tensor) -> Tensor:
        """:math:`f(x)`, ``[B, classes]``."""
        f: Tensor = self.net(x)
        return f

    def forward(self, x: Tensor) -> Tensor:
        return -self.logits(x).logsumexp(1)


@component(
    "jem",
    example={
        "net": {"type": "mlp", "width": 8, "activation": "silu"},
        "objective": {"type": "contrastive_divergence", "start": {"type": "persistent", "size": 16}},
    },
)
class JEM(ChainModel, Predicts):
    r"""Joint energy-based model: the logits of a classifier define the density of data and label.

    .. math:: p(x, y) = \frac{e^{f_y(x)}}{Z}, \qquad p(y \mid x) = \operatorname{softmax}(f(x))_y, \qquad
       U(x) = -\log \sum_y e^{f_y(x)}

    trained by the cross entropy of the labels and an objective of the energy,

    .. math:: L = -\log p(y \mid x) + \lambda\, L_U(x)

    The energy has no quadratic term: give the chain bounds, ``clamp: [-1, 1]``, for data with levels. ValueError for
    data without labels.

    Logs ``cross_entropy``, ``accuracy`` and the terms of the objective.

    Args:
        net: The classifier :math:`f`.
        objective: The objective of the energy, :math:`L_U`.
        chain: The Markov chain of draws.
        weight: The weight :math:`\lambda`; 0 for a classifier alone.
        spread: The standard deviation of the normal noise that chains of draws start from, for continuous data.
        smoothing: The standard deviation of noise that is added to the data in training.

    References: Grathwohl et al., Your Classifier is Secretly an Energy Based Model and You Should Treat it Like One,
    2020, arXiv:1912.03263, eq. 5 to 8.

    >>> import torch, zoo
    >>> event = zoo.Event("image", zoo.Shape(1, 4, 4), levels=2, classes=10)
    >>> jem = zoo.declare(zoo.Model, {"type": "jem", "net": "mlp"})(event)
    >>> jem.predict(torch.zeros(3, 1, 4, 4)).shape, jem.energy(torch.zeros(3, 1, 4, 4)).shape
    (torch.Size([3, 10]), torch.Size([3]))
    """

    U: LogitEnergy

    def __init__(
        self,
        event: Event,
        *,
        net: Part[Encoder],
        objective: Part[EnergyObjective] = named("contrastive_divergence"),
        chain: Part[Chain] = named("langevin"),
        weight: NonNegativeFloat = 1.0,
        spread: PositiveFloat = 2.0,
        smoothing: NonNegativeFloat = 0.0,
    ) -> None:
        super().__init__(event, objective, chain, spread, smoothing)
        self.U = LogitEnergy(event.shape, classes_of(event), net)
        self.weight = weight

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        x, label = self.noisy(batch), batch["label"]
        logits = self.U.logits(x)
        loss = cross_entropy(logits, label.long(), reduction="none")
        logs = {"cross_entropy": loss, "accuracy": (logits.argmax(1) == label).to(loss.dtype)}
        if not self.weight:
            return Terms(loss.mean(), logs)
        terms: Terms = self.objective(self.U, x, clock)
        return Terms(loss.mean() + self.weight * terms.loss, {**logs, **terms.logs}, terms.weights)

    def predict(self, x: Tensor, context: Condition | None = None) -> Tensor:
        return self.U.logits(signed(x, self.event, self.like))
