"""Parts of autoregressive models, each with one defect that a law must find. They are a plugin, `astray`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo import Condition, Known, Shape, component

if TYPE_CHECKING:
    from plugins.autoregressive.causal.layer import CausalLayer, Seen, Stepper, Streams
    from plugins.autoregressive.causal.masked_conv import CausalConv
    from plugins.autoregressive.entries import MaskedEntry
    from plugins.autoregressive.heads.bernoulli import Bernoulli
    from plugins.autoregressive.heads.categorical import Categorical
    from plugins.autoregressive.layers.gated import Gated, gate
    from plugins.autoregressive.layers.masked_residual import MaskedResidual
    from plugins.autoregressive.models.autoregressive import Autoregressive
    from plugins.autoregressive.nets.nade import NADE
else:
    from zoo.plugins.autoregressive.causal.layer import CausalLayer, Seen, Stepper, Streams
    from zoo.plugins.autoregressive.causal.masked_conv import CausalConv
    from zoo.plugins.autoregressive.entries import MaskedEntry
    from zoo.plugins.autoregressive.heads.bernoulli import Bernoulli
    from zoo.plugins.autoregressive.heads.categorical import Categorical
    from zoo.plugins.autoregressive.layers.gated import Gated, gate
    from zoo.plugins.autoregressive.layers.masked_residual import MaskedResidual
    from zoo.plugins.autoregressive.models.autoregressive import Autoregressive
    from zoo.plugins.autoregressive.nets.nade import NADE


@component("own_pixel")
class OwnPixel(MaskedEntry):
    """Mask B where mask A is asked for."""

    def __init__(self, in_shape: Shape, out_shape: Shape, colours: int = 1, vertical: bool = False) -> None:
        super().__init__(in_shape, out_shape, colours, vertical, kernel=3)
        self.conv = CausalConv(in_shape[0], out_shape[0], above=1, left=1, right=1, colours=colours)


@component("next_colour")
class NextColour(MaskedEntry):
    """The first colour hears of the second."""

    def __init__(self, in_shape: Shape, out_shape: Shape, colours: int = 1, vertical: bool = False) -> None:
        super().__init__(in_shape, out_shape, colours, vertical, kernel=3)
        if self.conv.mask is not None:
            self.conv.mask[0, 1, -1, self.conv.left] = 1.0


class Simple(CausalLayer):
    """A layer that claims no reach of its own, and has no way pixel by pixel."""

    def reach(self, seen: Seen) -> Seen:
        return seen


@component("normed_by_batch")
class NormedByBatch(Simple):
    """Batch norm: harmless in evaluation, a leak in training."""

    def __init__(self, shape: Shape, colours: int = 1) -> None:
        super().__init__(shape, colours)
        self.norm = nn.BatchNorm2d(shape[0])

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        return Streams(streams.v, self.norm(streams.h))


@component("normed_by_hand")
class NormedByHand(Simple):
    """The same in evaluation too, by nothing that could be recognised."""

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        return Streams(streams.v, streams.h - streams.h.mean(0))


@component("pooled")
class Pooled(Simple):
    """The mean of all places is added to each, while training."""

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        return Streams(streams.v, streams.h + streams.h.mean((2, 3), keepdim=True) if self.training else streams.h)


@component("row_too_low")
class RowTooLow(Simple):
    """The vertical stream is a row too far up: what it says at a row is of that row."""

    vertical = True

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        return Streams(streams.v, streams.h + streams.v.roll(-1, dims=2))  # type: ignore[union-attr]


@component("deaf_to_rows")
class DeafToRows(Gated):
    """Says that it sees all that is above, and does not link the streams."""

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        v, h = streams
        return Streams(gate(self.rows(v)), h + self.out(gate(self.row(h))))


@component("modest")
class Modest(MaskedResidual):
    """Sees more than it says."""

    def reach(self, seen: Seen) -> Seen:
        return seen


class OneColumnLate(Stepper):
    """Reads at the column before."""

    def __init__(self, of: Stepper) -> None:
        self.of = of

    def row(self, v: Tensor | None) -> Tensor | None:
        return self.of.row(v)

    def step(self, j: int, h: Tensor) -> Tensor:
        self.of.step(j, h)
        return self.of.step(max(j - 1, 0), h)


@component("one_column_late")
class LateByOneColumn(MaskedResidual):
    """Goes through an image with an error in its columns."""

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return OneColumnLate(super().stepper(n, context))


@component("deaf_to_context")
class DeafToContext(Gated):
    """Takes a context and does not listen, by either way."""

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        return super().forward(streams, None)

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return super().stepper(n, None)


@component("unnormalised")
class Unnormalised(Categorical):
    """Takes logits for logarithms of probabilities."""

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        return h.gather(1, x.long().unsqueeze(1)).squeeze(1)

    def log_probs(self, x: Tensor, h: Tensor) -> Tensor:
        return h.movedim(1, -1)


@component("cut_tail")
class CutTail(Categorical):
    """Scores levels that it does not list."""

    def log_probs(self, x: Tensor, h: Tensor) -> Tensor:
        return super().log_probs(x, h)[..., :-1]


@component("scores_more")
class ScoresMore(Categorical):
    """Scores better than its conditionals say."""

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        return 0.9 * super().log_prob(x, h)


@component("by_dtype")
class ByDtype(Categorical):
    """Takes levels that are floating point numbers for something else."""

    def log_probs(self, x: Tensor, h: Tensor) -> Tensor:
        return super().log_probs(x, 2.0 * h if x.is_floating_point() else h)


@component("knows_itself")
class KnowsItself(Categorical):
    """The probabilities of a number hear of the number."""

    def log_probs(self, x: Tensor, h: Tensor) -> Tensor:
        return super().log_probs(x, h * (1.0 + 0.1 * x.to(h.dtype)).unsqueeze(1))

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        return super().log_prob(x, h * (1.0 + 0.1 * x.to(h.dtype)).unsqueeze(1))


@component("partial_to_zero")
class PartialToZero(Categorical):
    """Draws small levels more often than it says."""

    def draw(self, h: Tensor, u: Tensor, temperature: float = 1.0, known: Known | None = None) -> Tensor:
        return super().draw(h, u**1.2, temperature)


@component("never_cool")
class NeverCool(Bernoulli):
    """Draws the same at any temperature."""

    def draw(self, h: Tensor, u: Tensor, temperature: float = 1.0, known: Known | None = None) -> Tensor:
        return super().draw(h, u)


@component("lukewarm")
class Lukewarm(Bernoulli):
    """Cools down to half, and no further."""

    def draw(self, h: Tensor, u: Tensor, temperature: float = 1.0, known: Known | None = None) -> Tensor:
        return super().draw(h, u, max(temperature, 0.5))


@component("single")
class Single(Categorical):
    """Scores in float32 whatever it is given."""

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        return super().log_prob(x, h).float()


@component("asks_for_values")
class AsksForValues(Categorical):
    """Branches on a number."""

    def log_prob(self, x: Tensor, h: Tensor) -> Tensor:
        return super().log_prob(x, h if float(h.detach().abs().max()) < 1e9 else h.clamp(-1e9, 1e9))


@component("forgets_what_is_known")
class ForgetsWhatIsKnown(Autoregressive):
    """Draws all anew, number by number."""

    @torch.no_grad()
    def unroll(
        self, u: Tensor, context: Condition | None = None, temperature: float = 1.0, known: Known | None = None
    ) -> Tensor:
        return super().unroll(u, context, temperature)


@component("puts_back_what_is_known")
class PutsBackWhatIsKnown(Autoregressive):
    """Keeps what is known, and draws the rest as if it were not."""

    @torch.no_grad()
    def unroll(
        self, u: Tensor, context: Condition | None = None, temperature: float = 1.0, known: Known | None = None
    ) -> Tensor:
        x = super().unroll(u, context, temperature)
        return x if known is None else torch.where(known.mask, known.x.to(x.dtype), x)


@component("warm_by_steps")
class WarmBySteps(Autoregressive):
    """Forgets the temperature where it goes number by number."""

    @torch.no_grad()
    def unroll(
        self, u: Tensor, context: Condition | None = None, temperature: float = 1.0, known: Known | None = None
    ) -> Tensor:
        return super().unroll(u, context, 1.0, known)


@component("reversed_ranks")
class ReversedRanks(Autoregressive):
    """Says that it goes the other way."""

    def ranks(self) -> Tensor:
        return super().ranks().flip(0)


@component("hears_all")
class HearsAll(NADE):
    """Says that it sees itself."""

    def sees(self) -> Tensor:
        return super().sees() | torch.eye(self.shape.size, dtype=torch.bool)
