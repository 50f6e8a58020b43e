"""Masked convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from .fast_conv import conv
from .layer import Offsets


def odd(kernel: int) -> int:
    """The kernel size; ValueError for an even one.

    >>> odd(3)
    3
    """
    if kernel % 2 == 0:
        raise ValueError(f"the kernel size must be odd, got {kernel}")
    return kernel


class CausalConv(nn.Module):
    r"""Causal convolution over the ``above`` rows above, from ``left`` to ``right`` columns away, and its own row so
    far.

    .. math:: y_{ij} = b + \sum_{d=1}^{above} \sum_{e=-left}^{right} W_{de}\, x_{i-d, j+e}
       + \sum_{e=-left}^{0} W_{0e}\, x_{i, j+e}

    A ``strict`` one (mask A of the reference, the others are B) does not see its own place. With several ``colours``
    channel i has colour ``i % colours``: at its own place a strict one sees the colours before its own, another its own
    as well. The kernel is cropped to the visible places; the others within it are masked in the graph. With a
    ``stride`` of two it computes every second row and column, from the first, and so on.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, sec. 3.4.

    Shapes: ``[B, in, H, W] -> [B, out, H, W]``.

    >>> conv = CausalConv(1, 1, above=1, left=1, right=1)
    >>> conv.kernel().ne(0).int().tolist()
    [[[[1, 1, 1], [1, 1, 0]]]]
    """

    mask: Tensor | None

    def __init__(
        self,
        before: int,
        after: int,
        *,
        above: int = 0,
        left: int = 0,
        right: int = 0,
        strict: bool = False,
        colours: int = 1,
        bias: bool = True,
        stride: int = 1,
    ) -> None:
        super().__init__()
        # The last column: to the right only where there are rows above, and its own place only where that is seen.
        last = right if above else -1 if strict and colours == 1 else 0
        if left + last < 0:
            raise ValueError("it depends on no input: use a kernel of three or more")
        self.before, self.after = before, after
        self.above, self.left, self.last, self.stride = above, left, last, stride
        self.weight = nn.Parameter(torch.empty(after, before, above + 1, left + last + 1))
        self.bias = nn.Parameter(torch.empty(after)) if bias else None
        self.register_buffer("mask", _mask(self, strict, colours), persistent=False)
        bound = (before * ((left + right + 1) * above + left + 1)) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)
        self.offsets: Offsets = [(-d, e) for d in range(1, above + 1) for e in range(-left, right + 1)]
        self.offsets += [(0, e) for e in range(-left, 0 if strict else 1)]

    def kernel(self) -> Tensor:
        """The weights, masked."""
        return self.weight if self.mask is None else self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return self.within(self.pad(x))

    def pad(self, x: Tensor) -> Tensor:
        """The input with zero padding: ``[B, in, H + above, left + W + last]``."""
        return pad(x, (self.left, self.last, self.above, 0))

    def within(self, padded: Tensor) -> Tensor:
        """The convolution of a padded input."""
        return conv(padded, self.kernel(), self.bias, (self.stride, self.stride))


def _mask(conv: CausalConv, strict: bool, colours: int) -> Tensor | None:
    mask = torch.ones_like(conv.weight)
    mask[:, :, -1, conv.left + 1 :] = 0.0
    if conv.last >= 0:
        of_out = torch.arange(conv.after, device=mask.device).unsqueeze(1) % colours
        of_in = torch.arange(conv.before, device=mask.device) % colours
        mask[:, :, -1, conv.left] = (of_in < of_out if strict else of_in <= of_out).to(mask)
    cropped = (conv.last <= 0 and not strict and colours == 1) or conv.last < 0
    return None if cropped else mask


class ConvStepper:
    """Incremental evaluation of a causal convolution on ``n`` images of ``W`` columns."""

    def __init__(self, conv: CausalConv, n: int, W: int) -> None:
        kernel = conv.kernel().detach()
        here = kernel[:, :, -1, : conv.left + 1]  # [out, in, columns]
        self.rows = kernel.new_zeros(n, conv.before, conv.above, W)
        self.kernel_above = kernel[:, :, :-1]
        self.padding = (conv.left, conv.last)
        self.taps = here.permute(2, 1, 0).flatten(0, 1).contiguous()  # [columns * in, out]
        self.known = kernel.new_zeros(n, conv.left + W, conv.before)
        # Views, made once: a step is then three calls.
        flat = self.known.flatten(1)
        self.windows = [flat[:, j * conv.before : (j + here.shape[2]) * conv.before] for j in range(W)]
        self.cells = list(self.known[:, conv.left :].unbind(1))
        bias = kernel.new_zeros(conv.after) if conv.bias is None else conv.bias.detach()
        self.bias = bias
        self.base: tuple[Tensor, ...] = (bias,) * W

    def row(self, added: Tensor | None = None) -> None:
        """Go to the next row; ``added`` is added to its outputs, ``[n, out, 1, W]``, or the same to all of them."""
        if not self.rows.shape[2] and added is None:
            return
        total = self.bias.reshape(1, -1, 1, 1) if added is None else added + self.bias.reshape(1, -1, 1, 1)
        if self.rows.shape[2]:
            done = self.known[:, -self.rows.shape[3] :].transpose(1, 2).unsqueeze(2)  # [n, in, 1, W]
            self.rows = torch.cat([self.rows[:, :, 1:], done], dim=2)  # [n, in, above, W]
            total = total + conv2d(pad(self.rows, self.padding), self.kernel_above)  # [n, out, 1, W]
        places = total.expand(self.known.shape[0], -1, 1, len(self.cells)).squeeze(2).permute(2, 0, 1)
        self.base = places.contiguous().unbind(0)  # [n, out] for each of W columns

    def write(self, j: int, x: Tensor) -> None:
        """Store the input at column j, ``[n, in]``."""
        self.cells[j].copy_(x)

    def read(self, j: int) -> Tensor:
        """The output at column j, ``[n, out]``."""
        return torch.addmm(self.base[j], self.windows[j], self.taps)
