"""Categorical posterior whose gradient is a relaxation's."""

from __future__ import annotations

from torch import Tensor

from zoo import component

from .relaxed_categorical import RelaxedCategorical


@component("categorical_straight_through")
class CategoricalStraightThrough(RelaxedCategorical):
    r"""Variables of K categories; draws are unit vectors, with the gradient that Gumbel-softmax has.

    .. math:: z = e_k, \quad k = \operatorname*{argmax}_j (\log \pi_j + g_j), \qquad
       \frac{\partial z}{\partial h} := \frac{\partial}{\partial h}
       \operatorname{softmax}\Bigl(\frac{\log \pi(x) + g}{\tau}\Bigr)

    In all else it is `categorical`. The decoder sees in training what it will see afterwards, for a gradient that is
    biased.

    References: Jang et al., Categorical Reparameterization with Gumbel-Softmax, 2017, arXiv:1611.01144, sec. 2.2.

    Shapes: ``h``, logits, is ``[B, N, K]`` for a latent ``[N, K]``. ValueError for a latent of other than two sizes,
    and for one that is annealed from below its least temperature.

    >>> import torch, zoo
    >>> posterior = CategoricalStraightThrough(zoo.Shape(4, 3))
    >>> posterior.draw(torch.zeros(5, 4, 3), 2).z.unique()
    tensor([0., 1.])
    """

    def relaxed(self, hard: Tensor, soft: Tensor) -> Tensor:
        # The difference first: it is zero to the last bit.
        return hard + (soft - soft.detach())
