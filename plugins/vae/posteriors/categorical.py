"""Categorical posterior, relaxed in training."""

from __future__ import annotations

from torch import Tensor

from zoo import component

from .relaxed_categorical import RelaxedCategorical


@component("categorical")
class Categorical(RelaxedCategorical):
    r"""Variables of K categories; training takes a softmax for the unit vectors that they are.

    .. math:: z = \operatorname{softmax}\Bigl(\frac{\log \pi(x) + g}{\tau}\Bigr), \qquad g_j = -\log(-\log u_j),
       \qquad \mathrm{KL}_i = \log K + \sum_k \pi_{ik} \log \pi_{ik}

    Draws are Gumbel-softmax, or concrete, in training mode, and unit vectors, :math:`\tau \to 0`, in evaluation:
    bounds are then those of the discrete model. ``temperature`` is the first :math:`\tau`; with ``anneal``, the rate r,
    it is :math:`\max(\tau_{\min}, \tau_0 e^{-r t})` after t steps, where ``least`` is :math:`\tau_{\min}`. The density
    of a draw is the probability of its largest category. The divergence is that of the categories from
    `uniform_categories`, one number a variable.

    The code of ``x`` is the probabilities.

    References: Jang et al., Categorical Reparameterization with Gumbel-Softmax, 2017, arXiv:1611.01144, eq. 2; Maddison
    et al., The Concrete Distribution, 2017, arXiv:1611.00712.

    Shapes: ``h``, logits, is ``[B, N, K]`` for a latent ``[N, K]``. ValueError for a latent of other than two sizes,
    and for one that is annealed from below its ``least``.

    >>> import torch, zoo
    >>> posterior = Categorical(zoo.Shape(4, 3))
    >>> posterior.draw(torch.zeros(5, 4, 3), 2).z.sum(-1).shape
    torch.Size([2, 5, 4])
    >>> posterior.eval().draw(torch.zeros(5, 4, 3), 1).z.unique()
    tensor([0., 1.])
    """

    def relaxed(self, hard: Tensor, soft: Tensor) -> Tensor:
        return soft
