"""Masked autoencoder for distribution estimation."""

from __future__ import annotations

from random import Random
from typing import Annotated

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from zoo import NOT_A_SIZE, Shape, TakesContext, component

from ..activations import Activation
from ..activations import activation as nonlinearity
from .masked_linear import MaskedLinear
from .net import AnyOrder, AutoregressiveNet, Solve, check_single


def spread_degrees(width: int, least: int, most: int) -> Tensor:
    """Degrees from ``least`` to ``most``, evenly distributed and ascending: ``[width]``, on the CPU.

    >>> spread_degrees(5, 1, 3).tolist(), spread_degrees(2, 0, 3).tolist()
    ([1, 1, 2, 2, 3], [0, 2])
    """
    return least + torch.arange(width, device="cpu") * (most - least + 1) // width


def drawn_degrees(width: int, least: int, most: int, seed: int) -> Tensor:
    """Degrees from ``least`` to ``most`` drawn at random, ascending: a pure function of its arguments.

    >>> torch.equal(drawn_degrees(5, 1, 3, seed=0), drawn_degrees(5, 1, 3, seed=0))
    True
    """
    # Of Python's generators only random() is promised to draw the same in all versions.
    rng = Random(seed)
    shares = torch.empty(width, dtype=torch.float64, device="cpu").apply_(lambda _: rng.random())
    return least + (shares * (most - least + 1)).long().sort().values


@component("made", example={"width": 8})
class MADE(AutoregressiveNet, AnyOrder, TakesContext):
    r"""MADE: a multi-layer perceptron with masked weights, so that the parameters of an element depend on earlier
    elements.

    .. math:: a_0 = x, \qquad a_l = \phi((W_l \odot M_l)\, a_{l-1} + b_l), \qquad h = (W \odot M)\, a_L + b

    Unit k has a degree :math:`m_k` from 1 to D - 1 and sees the elements up to :math:`x_{m_k}` and the units of degrees
    up to its own; :math:`h_i` sees the units of degrees below i. The degrees ascend with k and are the same in all
    layers, as residual connections need it. ``W`` and ``b`` start at zero.

    With a context c the first layer adds :math:`V c`. Degrees then start at zero, for units that depend only on the
    context: the parameters of the first element depend on it through them.

    `unroll` costs about what one dense pass does: units of degree i are computed once, when :math:`x_i` is known.

    Another order of the elements permutes the columns of the first mask and the rows of the last: the weights belong to
    the elements.

    Args:
        width: The units of a hidden layer.
        depth: The number of hidden layers, :math:`L`.
        activation: The nonlinearity :math:`\phi`.
        residual: Add to each hidden layer after the first its input.
        degrees_seed: The seed by which the degrees are drawn; ``null`` spreads them evenly.
        context: The size of a context; 0 for none.

    References: Germain et al., MADE, 2015, arXiv:1502.03509, eq. 8-9 and 12-13; sec. 4.2 for orders.

    Shapes: ``[B, *shape] -> [B, count, *shape]``.

    >>> import torch, zoo
    >>> from zoo.plugins.nets.masked.net import AutoregressiveNet
    >>> net = zoo.declare(AutoregressiveNet, {"type": "made", "width": 8})(zoo.Shape(3), 2)
    >>> h = net(torch.ones(5, 3))
    >>> tuple(h.shape), h.abs().max().item()
    ((5, 2, 3), 0.0)
    >>> net.unroll(lambda i, h: h[:, 0] + i, 5)[0].tolist()    # each element by those before it
    [0.0, 1.0, 2.0]
    """

    def __init__(
        self,
        shape: Shape,
        count: int,
        together: int = 1,
        features: int = 1,
        *,
        width: PositiveInt = 64,
        depth: PositiveInt = 2,
        activation: Activation = "relu",
        residual: bool = False,
        degrees_seed: Annotated[NonNegativeInt, NOT_A_SIZE] | None = None,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, count, together, features)
        check_single(self, "made")
        self.context = context
        D = shape.size
        least, most = (0, D - 1) if context else (1, max(1, D - 1))
        if degrees_seed is None:
            degrees = spread_degrees(width, least, most)
        else:
            degrees = drawn_degrees(width, least, most, degrees_seed)
        places = torch.arange(D, device="cpu")
        self.first = MaskedLinear(1 + places, degrees)
        self.hidden = nn.ModuleList(MaskedLinear(degrees, degrees) for _ in range(depth - 1))
        self.last = MaskedLinear(degrees, places.repeat(count))
        self.from_context = nn.Linear(context, width, bias=False) if context else None
        nn.init.zeros_(self.last.linear.weight)
        nn.init.zeros_(self.last.linear.bias)
        self.phi = nonlinearity(activation)
        self.residual = residual
        self._sizes = (count, *shape)
        # The units of a degree are a slice: the one that the element of this number completes, the context that of 0.
        self._completed = degrees.bincount(minlength=D + 1).tolist()

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        a = self._units(self.first(x.flatten(1)), context)  # [B, width]
        return torch.unflatten(self.last(a), 1, self._sizes)  # [B, count, *shape]

    def in_order(self, x: Tensor, ranks: Tensor, context: Tensor | None = None) -> Tensor:
        a = self._units(self.first.through(x.flatten(1), self.first.mask.index_select(1, ranks)), context)
        # The mask's rows come once for each parameter, each time in the order of memory.
        mask = self.last.mask[: self.shape.size].index_select(0, ranks).repeat(self.count, 1)
        return torch.unflatten(self.last.through(a, mask), 1, self._sizes)

    def _units(self, sums: Tensor, context: Tensor | None) -> Tensor:
        """The units of the last hidden layer, from the sums of the first."""
        if self.from_context is not None and context is not None:
            sums = sums + self.from_context(context)
        a: Tensor = self.phi(sums)
        for layer in self.hidden:
            a = self._above(a, layer(a))
        return a

    def unroll(self, solve: Solve, n: int, context: Tensor | None = None) -> Tensor:
        return self._unrolled(solve, n, context)

    def unroll_in(self, ranks: Tensor, solve: Solve, n: int, context: Tensor | None = None) -> Tensor:
        order = ranks.argsort()
        places = order.tolist()
        x = self._unrolled(lambda i, h: solve(places[i], h), n, context, order)
        return x.flatten(1).index_select(1, ranks).view_as(x)

    def _unrolled(self, solve: Solve, n: int, context: Tensor | None, order: Tensor | None = None) -> Tensor:
        """The elements in the ``order`` in which they were computed: a place of memory for each rank."""
        first, *above = self._columns(order)
        sums = self._sums(n, order)
        if self.from_context is not None and context is not None:
            sums[0] = sums[0] + self.from_context(context).t()
        elements: list[Tensor] = []
        rest = 0
        for degree, completed in enumerate(self._completed):
            if degree > 0:
                h, sums[-1] = _cut(sums[-1], self.count)
                x = solve(degree - 1, h.t())
                elements.append(x)
                sums[0] = _add(sums[0], first[degree - 1][rest:], x.unsqueeze(0))
            if completed:
                rows = [rest] * (len(above) - 1) + [degree * self.count]
                self._complete(completed, [W[degree][row:] for W, row in zip(above, rows, strict=True)], sums)
                rest += completed
        return torch.unflatten(torch.stack(elements, dim=1), 1, self._sizes[1:])

    def sees(self) -> Tensor:
        # Element i is seen by units of its degree and above, which exist up to the largest one below j.
        D = self.shape.size
        degrees = torch.tensor([d for d, units in enumerate(self._completed) if units], device="cpu")
        i, j = torch.arange(D, device="cpu"), torch.arange(D, device="cpu").unsqueeze(1)
        return ((degrees <= j.unsqueeze(2)) & (degrees >= i.unsqueeze(1) + 1)).any(2)

    def _columns(self, order: Tensor | None) -> list[tuple[Tensor, ...]]:
        """The first layer's weights by element, the others' by the degree that they multiply; rows as in `_sums`.

        None that a mask leaves out is among the rows that are used.
        """
        first, *hidden, last = [layer.linear.weight for layer in (self.first, *self.hidden, self.last)]
        above = [W.split_with_sizes(self._completed, 1) for W in (*hidden, _by_element(last, self.count, order))]
        first = first if order is None else first.index_select(1, order)
        return [first.split_with_sizes([1] * (len(self._completed) - 1), 1), *above]

    def _sums(self, n: int, order: Tensor | None) -> list[Tensor]:
        """The sums of each layer's units before any element is known, ``[units, n]``: rows are cheap to split off.

        Those of the last layer are ordered by element and then by parameter.
        """
        *below, last = [layer.linear.bias.unsqueeze(1) for layer in (self.first, *self.hidden, self.last)]
        biases = (*below, _by_element(last, self.count, order))
        return [bias.expand(-1, n).clone(memory_format=torch.contiguous_format) for bias in biases]

    def _complete(self, completed: int, columns: list[Tensor], sums: list[Tensor]) -> None:
        """Split the first units off the sums of every hidden layer, and add their contribution to the layer above."""
        first, sums[0] = _cut(sums[0], completed)
        a = self.phi(first)
        for k, W in enumerate(columns[:-1], 1):
            first, sums[k] = _cut(_add(sums[k], W, a), completed)
            a = self._above(a, first)
        sums[-1] = _add(sums[-1], columns[-1], a)

    def _above(self, a: Tensor, sums: Tensor) -> Tensor:
        """A hidden layer's units from its sums and the layer below."""
        added: Tensor = self.phi(sums)
        return a + added if self.residual else added


def _by_element(x: Tensor, count: int, order: Tensor | None) -> Tensor:
    """``[count * D, K] -> [D * count, K]``, the elements in their order."""
    by_element = torch.unflatten(x, 0, (count, -1)).transpose(0, 1)  # [D, count, K]
    return (by_element if order is None else by_element.index_select(0, order)).flatten(0, 1)


def _cut(sums: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first rows and the rest."""
    first, rest = sums.split_with_sizes([count, sums.shape[0] - count])
    return first, rest


def _add(sums: Tensor, W: Tensor, a: Tensor) -> Tensor:
    """``sums + W a``, in place where no gradient needs the old ``sums``."""
    if torch.is_grad_enabled() and (sums.requires_grad or W.requires_grad or a.requires_grad):
        return torch.addmm(sums, W, a)
    return sums.addmm_(W, a)
