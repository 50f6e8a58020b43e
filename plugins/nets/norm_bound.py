"""Upper bounds of the largest singular value."""

from __future__ import annotations

import torch
from torch import Tensor


def norm_bound(W: Tensor, iterations: int = 6) -> Tensor:
    r"""An upper bound of the largest singular value of matrices: their Schatten norm of order :math:`2^{t + 1}`.

    .. math:: \sigma_1 \le \Bigl(\sum_i \sigma_i^{2^{t+1}}\Bigr)^{2^{-t-1}}
       = \lVert (W W^*)^{2^{t-1}} \rVert_F^{2^{-t}} \le r^{2^{-t-1}} \sigma_1

    with the rank :math:`r`, by t ``iterations`` of a matrix product each. Six of them are off by less than 4% at rank
    100. Power iteration is cheaper, but what it gives is a lower bound until it has converged, and it has a state to
    keep; a singular value decomposition is much dearer. Its gradient is smooth, with no pole at zero.

    References: Delattre et al., Efficient bound of Lipschitz constant for convolutional layers by Gram iteration, 2023,
    arXiv:2305.16173, thm. 1.

    Shapes: ``[..., m, n] -> [...]``, real or complex.

    >>> norm_bound(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(4.0000)
    """
    tiny = torch.finfo(W.dtype).tiny
    W = W if W.shape[-2] <= W.shape[-1] else W.mH
    log_size: Tensor | float = 0.0
    for i in range(iterations):
        # What is divided by only keeps numbers in range: the bound does not depend on it, so no gradient does.
        size = torch.linalg.matrix_norm(W.detach()).clamp(min=tiny)
        log_size = log_size + size.log() / 2**i
        W = W / size[..., None, None]
        W = W @ W.mH
    return torch.exp(log_size + torch.linalg.matrix_norm(W).clamp(min=tiny).log() / 2**iterations)


def conv_norm_bound(W: Tensor, height: int, width: int) -> Tensor:
    r"""An upper bound of the operator norm of a convolution that keeps height and width by padding with zeros.

    .. math:: \sigma_1 \le \max_\omega \sigma_1(\hat W(\omega)), \qquad
       \hat W_{ij}(\omega) = \sum_p W_{ijp}\, e^{-2 \pi i \langle \omega, p \rangle}

    over the frequencies of a grid of ``[height + k - 1, width + k - 1]``: on that torus the kernel does not wrap around
    from one edge of the image to the other, so that the convolution is a piece of a circular one, which these matrices
    make diagonal.

    References: Sedghi et al., The singular values of convolutional layers, 2019, arXiv:1805.10408, thm. 6.

    Shapes: the kernel ``[C', C, k, k]``, k odd; the bound is a scalar.

    >>> round(conv_norm_bound(torch.ones(1, 1, 3, 3), 8, 8).item(), 4)
    9.0
    """
    k = W.shape[-1]
    if k == 1:
        return norm_bound(W[:, :, 0, 0])
    symbol = torch.fft.rfft2(W, s=(height + k - 1, width + k - 1))  # real: the other half has the same norms
    return norm_bound(symbol.permute(2, 3, 0, 1)).amax()
