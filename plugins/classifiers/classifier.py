"""Classifier."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor
from torch.nn.functional import cross_entropy

from zoo import Batch, Clock, Condition, Encoder, Event, Model, Part, Predicts, Shape, Terms, component

from ..nets.mlp import perceptron


@component("classifier", example={"encoder": "mlp", "features": 4})
class Classifier(Model, Predicts):
    r"""Features of data, and a linear map of them to the logits of its classes.

    .. math:: L = -\log \operatorname{softmax}(W f(x) + b)_y

    ``features`` is how many numbers the ``encoder`` :math:`f` gives. An encoder that was trained in another model fits
    where this is the size of its answer: the ``latent`` of an autoencoder, twice that of a variational one with means
    and variances. With a ``width`` so many hidden units stand between the features and the logits.

    ValueError for data without classes.

    Logs ``cross_entropy``, in nats, and ``accuracy``.

    Shapes: ``[B, *event.shape] -> [B, classes]``.

    >>> import torch, zoo
    >>> event = zoo.Event("image", zoo.Shape(1, 4, 4), levels=2, classes=10)
    >>> part = zoo.declare(zoo.Model, {"type": "classifier", "encoder": "mlp", "features": 6})
    >>> part(event).predict(torch.zeros(3, 1, 4, 4)).shape
    torch.Size([3, 10])
    """

    def __init__(
        self, event: Event, *, encoder: Part[Encoder], features: PositiveInt, width: PositiveInt | None = None
    ) -> None:
        super().__init__(event)
        if event.classes is None:
            raise ValueError(f"'{event.name}' has no classes to tell apart")
        self.encoder = encoder(event.shape, Shape(features))
        self.head = perceptron(features, () if width is None else (width,), event.classes, "relu")

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        label = batch["label"]
        logits = self.predict(batch[self.event.name])
        loss = cross_entropy(logits, label, reduction="none")
        return Terms(loss.mean(), {"cross_entropy": loss, "accuracy": (logits.argmax(1) == label).to(loss.dtype)})

    def predict(self, x: Tensor, context: Condition | None = None) -> Tensor:
        like = next(self.head.parameters())
        logits: Tensor = self.head(self.encoder(self.event.unit(x, like.dtype)))
        return logits
