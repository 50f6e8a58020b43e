"""Couplings: which noise a batch of data is paired with in training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from zoo import Component, component

from ..shared.compilation import uncompiled

if TYPE_CHECKING:
    from zoo.testing import Laws


class Coupling(Component, ABC):
    """Pairing of the data of a batch with noise.

    Each noise is used once, and the noise of each label is the same as before: its distribution, given the label,
    remains standard normal, which draws with that label begin with.

    Shapes: data and noise ``[B, *shape]``, labels ``[B]``.
    """

    independent: ClassVar[bool] = False
    """Whether noise does not depend on its data: only then is the predicted noise a score, which samplers with noise
    and bounds of the likelihood need."""

    @abstractmethod
    def __call__(self, data: Tensor, noise: Tensor, labels: Tensor | None) -> Tensor:
        """The noise in the order of the data; pairs are within classes where there are labels."""

    @classmethod
    def laws(cls) -> Laws:
        from .laws.coupling import LAWS

        return LAWS


@component("independent")
class Independent(Coupling):
    r"""Noise that does not depend on its data, :math:`q(x_0, \epsilon) = p(x_0)\, \mathcal{N}(\epsilon; 0, I)`."""

    independent = True

    def __call__(self, data: Tensor, noise: Tensor, labels: Tensor | None) -> Tensor:
        return noise


@component("minibatch_ot")
class MinibatchOT(Coupling):
    r"""Optimal transport within a batch: the pairing of the least total squared distance.

    .. math:: \min_\pi \sum_i \| x_{0, i} - \epsilon_{\pi(i)} \|^2

    over all permutations, by an exact assignment. Ways of draws become straighter, so that fewer steps do; the cost
    grows with the cube of the batch, and the effect with its size. Where the model is conditioned on labels, each class
    has its own assignment: otherwise the noise would say which label it belongs to.

    The likelihood and draws by the probability-flow equation remain valid; the predicted noise is no longer a score.

    References: Tong et al., Improving and Generalizing Flow-Based Generative Models with Minibatch Optimal Transport,
    2023, arXiv:2302.00482, sec. 3.2; Pooladian et al., Multisample Flow Matching, 2023, arXiv:2304.14772.

    >>> data, noise = torch.tensor([[0.0], [5.0], [1.0]]), torch.tensor([[4.0], [0.0], [2.0]])
    >>> MinibatchOT()(data, noise, None).flatten().tolist()
    [0.0, 4.0, 2.0]
    """

    def __init__(self) -> None:
        self._order = uncompiled(optimal_order)

    def __call__(self, data: Tensor, noise: Tensor, labels: Tensor | None) -> Tensor:
        return noise if noise.is_meta else noise[self._order(data, noise, labels)]


@torch.no_grad()
def optimal_order(data: Tensor, noise: Tensor, labels: Tensor | None) -> Tensor:
    """The row of noise for each row of data, ``[B]``: the assignment of the least total squared distance."""
    assign = import_module("scipy.optimize").linear_sum_assignment
    x, z = (values.flatten(1).double() for values in (data, noise))
    cost = (x.square().sum(1, keepdim=True) + z.square().sum(1) - 2.0 * x @ z.T).cpu()  # [B, B]
    classes = torch.zeros(len(x), dtype=torch.int64, device="cpu") if labels is None else labels.cpu()
    order = torch.arange(len(x), device="cpu")
    for label in sorted(set(classes.tolist())):
        rows = (classes == label).nonzero().flatten()
        order[rows] = rows[torch.from_numpy(assign(cost[rows][:, rows].numpy())[1])]
    return order.to(noise.device)
