"""Transformer block for images."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import gelu

from zoo import Shape, component

from ...nets.transformer.attention import Attention
from ...nets.transformer.block import Block
from ...nets.transformer.feed_forward import FeedForward
from ..causal.attention import AttentionStepper, as_image, as_tokens, reached
from ..causal.conv1x1 import PointwiseStepper, TokenConv
from ..causal.layer import CausalLayer, Seen, Stepper, Streams
from ..causal.raster_order import check_whole_pixels


@component("transformer_block", example={"heads": 2})
class TransformerBlock(CausalLayer):
    r"""Transformer block: attention to all places up to its own, and a feed-forward network of one hidden layer.

    .. math:: g = h + U\, \mathrm{attention}(\mathrm{norm}(h)), \qquad
       h' = g + W_2\, \mathrm{GELU}(W_1\, \mathrm{norm}(g))

    The normalisation is over the channels of a place: one over a batch, or an image, would look ahead. A block does not
    depend on positions: put `positions` below it. The added parts start at zero.

    Args:
        heads: The number of attention heads, each with a part of the channels.
        hidden: The channels of the hidden layer, as a multiple of those of the input.

    References: Parmar et al., Image Transformer, 2018, arXiv:1802.05751, sec. 3.1-3.2; with the normalisation where
    Radford et al., Language Models are Unsupervised Multitask Learners, 2019, have it.

    Shapes: `Streams` of ``[B, C, H, W]``, unchanged, that of rows not used; ValueError if the channels of a pixel are
    drawn one by one, and for heads that do not divide C.
    """

    def __init__(self, shape: Shape, colours: int = 1, *, heads: PositiveInt = 8, hidden: PositiveInt = 4) -> None:
        super().__init__(shape, colours)
        check_whole_pixels(colours)
        C = shape[0]
        attention = Attention(C, heads, causal=True, linear=TokenConv)
        network = FeedForward(C, hidden * C, linear=TokenConv)
        for last in (attention.out, network.out):
            nn.init.zeros_(last.conv.weight)  # type: ignore[arg-type, union-attr]
            nn.init.zeros_(last.conv.bias)  # type: ignore[arg-type, union-attr]
        block = Block(C, attention, network, eps=1e-5)
        # In a tuple they add no names to those of the tensors, which share files have: `before.weight`.
        self.of_tokens = (block, attention)
        self.before: nn.Module = block.norm1  # type: ignore[assignment]
        self.between = block.norm2
        self.attention = nn.ModuleDict({"into": attention.qkv})
        self.gathered, self.into, self.out = attention.out, network.into, network.out

    def forward(self, streams: Streams, context: Tensor | None = None) -> Streams:
        v, h = streams
        return Streams(v, as_image(self.of_tokens[0](as_tokens(h)), h))

    def reach(self, seen: Seen) -> Seen:
        return Seen(seen.v, seen.h | reached(seen.h))

    def stepper(self, n: int, context: Tensor | None = None) -> Stepper:
        return TransformerBlockStepper(self, n)


class TransformerBlockStepper(Stepper):
    """Incremental evaluation of a transformer block on ``n`` images, place by place."""

    def __init__(self, layer: TransformerBlock, n: int) -> None:
        _, H, self.W = layer.shape
        self.attention = AttentionStepper(layer.of_tokens[1], n, H * self.W)
        parts = layer.gathered, layer.into, layer.out
        self.gathered, self.into, self.out = map(PointwiseStepper, parts)  # type: ignore[arg-type]
        self.before, self.between = layer.before, layer.between
        self.start = -self.W

    def row(self, v: Tensor | None) -> Tensor | None:
        self.start += self.W
        return v

    def step(self, j: int, h: Tensor) -> Tensor:
        h = h + self.gathered(self.attention.step(self.start + j, self.before(h)))
        return h + self.out(gelu(self.into(self.between(h))))
