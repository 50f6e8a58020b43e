"""Classifier."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor
from torch.nn.functional import cross_entropy

from zoo import Batch, Clock, Condition, Encoder, Encodes, Event, Model, Part, Predicts, Shape, Terms, component

from ..nets.mlp import perceptron


@component("classifier", example={"encoder": "mlp", "features": 4})
class Classifier(Model, Predicts, Encodes):
    r"""Classifier: an encoder, and a linear map of its features to the logits of the classes.

    .. math:: L = -\log \operatorname{softmax}(W f(x) + b)_y

    An encoder that was trained in another model fits if ``features`` is the size of its output: the ``latent`` of an
    autoencoder, twice that of a variational one with means and variances.

    ValueError for data without classes.

    The code of an example are its features :math:`f(x)`.

    Logs ``cross_entropy``, in nats, and ``accuracy``.

    Args:
        encoder: The encoder :math:`f`.
        features: The number of features, the size of the encoder's output.
        width: The hidden units between the features and the logits; ``null`` for a linear map.

    Shapes: logits ``[B, *event.shape] -> [B, classes]``, codes ``[B, features]``.

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
            raise ValueError(f"'{event.name}' has no classes")
        self.encoder = encoder(event.shape, Shape(features))
        self.head = perceptron(features, () if width is None else (width,), event.classes, "relu")

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        label = batch["label"]
        logits = self.predict(batch[self.event.name])
        loss = cross_entropy(logits, label, reduction="none")
        return Terms(loss.mean(), {"cross_entropy": loss, "accuracy": (logits.argmax(1) == label).to(loss.dtype)})

    def predict(self, x: Tensor, context: Condition | None = None) -> Tensor:
        logits: Tensor = self.head(self.encode(x))
        return logits

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        like = next(self.head.parameters())
        features: Tensor = self.encoder(self.event.unit(x, like.dtype))
        return features
