"""Causal model with another order of the data."""

from __future__ import annotations

from random import Random
from typing import Annotated, Any, Literal

import torch
from pydantic import NonNegativeInt
from torch import Tensor

from zoo import NOT_A_SIZE, Batch, Causal, Clock, Condition, Event, Known, Model, Part, Shape, Terms, component

Named = Literal["rows", "columns", "both", "shuffled"]


@component(
    "reordered",
    example={"order": "both", "model": {"type": "autoregressive", "net": "made", "head": "categorical"}},
)
class Reordered(Model, Causal):
    r"""Causal model of data whose numbers are permuted.

    .. math:: p(x) = p_{\mathrm{model}}(x_{\pi(1)}, \dots, x_{\pi(D)})

    Another order can complete data whose known part comes late in raster order.

    ValueError for a list that is not a permutation, for a seed without ``shuffled``, for rows or columns of data that
    are not images, and for a model that is not causal.

    Args:
        model: The causal model of the permuted data.
        order: The order: ``rows`` reversed, so that the last one comes first, ``columns``, or ``both``;
            ``shuffled``; or a list of the D places in memory, in the order of generation.
        seed: The seed of ``order: shuffled``; ``null`` for 0.

    References: Larochelle and Murray, The Neural Autoregressive Distribution Estimator, AISTATS 2011, sec. 3.

    >>> import zoo
    >>> node = {"type": "reordered", "order": [2, 0, 1], "model": {**Reordered.__zoo__.example["model"]}}
    >>> model = zoo.declare(zoo.Model, node)(zoo.Event("bits", zoo.Shape(3), levels=2))
    >>> model.ranks().tolist()    # the last number comes first
    [1, 2, 0]
    """

    places: Tensor
    back: Tensor

    def __init__(
        self,
        event: Event,
        *,
        model: Part[Model],
        order: Named | tuple[NonNegativeInt, ...],
        seed: Annotated[NonNegativeInt, NOT_A_SIZE] | None = None,
    ) -> None:
        super().__init__(event)
        if seed is not None and order != "shuffled":
            raise ValueError("'seed' requires 'order: shuffled'")
        inner: Any = model(event)
        self.conditioned_on = inner.conditioned_on
        if not isinstance(inner, Causal):
            raise ValueError(f"needs an autoregressive model, got '{model.name}'")
        self.model: Any = inner
        places = _places(order, event.shape, seed or 0)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("back", places.argsort(), persistent=False)

    @property
    def kept(self) -> bool:  # type: ignore[override]
        """Whether the model caches what it has computed."""
        kept: bool = self.model.kept
        return kept

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        terms: Terms = self.model({**batch, self.event.name: self._moved(batch[self.event.name])}, clock)
        return terms

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        log_p: Tensor = self.model.log_prob(self._moved(x), context)
        return log_p

    def ranks(self) -> Tensor:
        ranks: Tensor = self.model.ranks()[self.back.to("cpu")]
        return ranks

    def sees(self) -> Tensor:
        back = self.back.to("cpu")
        seen: Tensor = self.model.sees()[back][:, back]
        return seen

    def conditionals(self, x: Tensor, context: Condition | None = None) -> Tensor:
        log_p: Tensor = self.model.conditionals(self._moved(x), context)
        return log_p.flatten(1, -2).index_select(1, self.back).view_as(log_p)

    def uniforms(self, n: int) -> Tensor:
        u: Tensor = self.model.uniforms(n)
        return u

    def redraw(self, x: Tensor, u: Tensor, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self._moved_back(self.model.redraw(self._moved(x), u, context, temperature))

    def unroll(
        self, u: Tensor, context: Condition | None = None, temperature: float = 1.0, known: Known | None = None
    ) -> Tensor:
        return self._moved_back(self.model.unroll(u, context, temperature, self._known(known)))

    def draw(
        self, u: Tensor, context: Condition | None = None, temperature: float = 1.0, known: Known | None = None
    ) -> Tensor:
        return self._moved_back(self.model.draw(u, context, temperature, self._known(known)))

    def _known(self, known: Known | None) -> Known | None:
        return None if known is None else Known(self._moved(known.x), self._moved(known.mask))

    def _moved(self, x: Tensor) -> Tensor:
        return x.flatten(1).index_select(1, self.places).view_as(x)

    def _moved_back(self, x: Tensor) -> Tensor:
        return x.flatten(1).index_select(1, self.back).view_as(x)


def _places(order: Named | tuple[int, ...], shape: Shape, seed: int) -> Tensor:
    """The place in data of each number of the model: int64 ``[D]``."""
    places = torch.arange(shape.size, device="cpu")
    if isinstance(order, tuple):
        given = torch.tensor(order, device="cpu")
        if not torch.equal(given.sort().values, places):
            raise ValueError(f"'order' is not a permutation: expected each of 0 to {shape.size - 1} once")
        return given
    if order == "shuffled":
        # Of Python's generators only random() is promised to draw the same in all versions.
        rng = Random(seed)
        return torch.empty(shape.size, dtype=torch.float64, device="cpu").apply_(lambda _: rng.random()).argsort()
    if len(shape) != 3:
        raise ValueError(f"'order: {order}' applies to images, got data of shape {shape}")
    turned = {"rows": [1], "columns": [2], "both": [1, 2]}[order]
    return places.reshape(tuple(shape)).flip(turned).flatten()
