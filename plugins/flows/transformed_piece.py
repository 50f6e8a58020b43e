"""What couplings have in common."""

from __future__ import annotations

from abc import ABC

from torch import Tensor

from zoo import Bijection, Conditioner, Mask, Part, Shape, sum_event

from .transformer import Transformer


class TransformedPiece(Bijection, ABC):
    """A bijection that keeps one piece of the event and transforms the other with parameters that depend on the first.

    The conditioner sees what the mask shows of the kept piece, and answers with ``count`` numbers for each changed
    element, the first of all elements before the second of all.
    """

    def __init__(
        self, shape: Shape, mask: Part[Mask], conditioner: Part[Conditioner], transformer: Transformer
    ) -> None:
        super().__init__(shape)
        self.mask = mask(shape)
        self.transformer = transformer
        self.net = conditioner(self.mask.seen, self.mask.asked(transformer.count))
        self._sizes = (-1, transformer.count, *self.mask.changed)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        kept, changed = self.mask.split(x)
        y, log_slope = self.transformer(changed, self._answer(kept, context))
        return self.mask.merge(kept, y), sum_event(log_slope)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        kept, changed = self.mask.split(z)
        x, log_slope = self.transformer.inverse(changed, self._answer(kept, context))
        return self.mask.merge(kept, x), sum_event(log_slope)

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        kept, changed = self.mask.split(z)
        return self.mask.merge(kept, self.transformer.decode(changed, self._answer(kept, context)))

    def _answer(self, kept: Tensor, context: Tensor | None) -> Tensor:
        h = self.net(self.mask.show(kept), context)
        if h.dtype != kept.dtype:
            # Under autocast the net answers in half precision; transforms and log-determinants stay in the input's.
            h = h.to(kept.dtype)
        return self.mask.answer(h).reshape(self._sizes)
