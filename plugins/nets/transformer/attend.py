"""Attention of queries to keys: the function behind every attention of the project."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from .masks import causal as up_to_own
from .masks import joined


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    r"""Scaled dot-product attention: each query takes a mean of the values, weighted by how well their keys match.

    .. math:: y_i = \sum_j a_{ij} v_j, \qquad a_{ij} = \mathrm{softmax}_j(s\, q_i \cdot k_j + m_{ij})

    by torch's `scaled_dot_product_attention`, whose softmax is in float32 at least. On a CPU numbers of 16 bits are
    attended to in float32: its kernel for those takes up to three times as long for short sequences, in the backward
    pass. A query that may attend to no key gets zeros.

    Args:
        q: Queries ``[B, H, N, D]``.
        k: Keys ``[B, G, M, D]``; G divides H, and H / G heads of queries share each of them.
        v: Values ``[B, G, M, D]``.
        mask: Booleans (True: may attend) or floats to add, that broadcast to ``[B, H, N, M]``.
        causal: Whether a query sees only the keys up to its own; the queries are the last N of the M keys.
        scale: The factor s of the scores; by default one over the square root of D.
        dropout: Probability with which a weight is dropped.

    References: Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762, eq. 1; Ainslie et al., GQA, 2023,
    arXiv:2305.13245.

    Shapes: ``[B, H, N, D]``.

    >>> q, kv = torch.zeros(1, 4, 2, 8), torch.arange(3.0).reshape(1, 1, 3, 1).expand(1, 2, 3, 8)
    >>> attend(q, kv, kv, causal=True)[0, 0, :, 0]
    tensor([0.5000, 1.0000])
    """
    mask, causal = _as_one(q, k, mask, causal)
    if q.device.type == "cpu" and (torch.is_autocast_enabled("cpu") or v.dtype in (torch.bfloat16, torch.float16)):
        with torch.autocast("cpu", enabled=False):
            wide = torch.promote_types(v.dtype, torch.float32)
            return _attend(q.to(wide), k.to(wide), v.to(wide), mask, causal, scale, dropout).to(v.dtype)
    return _attend(q, k, v, mask, causal, scale, dropout)


def _attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float | None, dropout: float
) -> Tensor:
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(q.dtype)
    grouped = bool(q.shape[1] != k.shape[1])  # TorchScript's sizes are tensors
    return scaled_dot_product_attention(q, k, v, mask, dropout, causal, scale=scale, enable_gqa=grouped)


def attention_weights(
    q: Tensor, k: Tensor, mask: Tensor | None = None, *, causal: bool = False, scale: float | None = None
) -> Tensor:
    r"""Attention weights :math:`a_{ij}` of `attend`, ``[B, H, N, M]``, in float32 at least: for pictures and checks.

    >>> attention_weights(torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4), causal=True)[0, 0]
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000]])
    """
    mask, causal = _as_one(q, k, mask, causal)
    mask = joined(mask, up_to_own(q.shape[2], k.shape[2], q.device)) if causal else mask
    dtype = torch.promote_types(q.dtype, torch.float32)
    q, k = q.to(dtype), k.to(dtype).repeat_interleave(q.shape[1] // k.shape[1], 1)
    scores = q @ k.transpose(-1, -2) * (q.shape[3] ** -0.5 if scale is None else scale)  # [B, H, N, M]
    if mask is not None:
        scores = joined(mask, scores) if mask.dtype == torch.bool else scores + mask  # type: ignore[assignment]
    return scores.softmax(-1).nan_to_num(0.0)


def _as_one(q: Tensor, k: Tensor, mask: Tensor | None, causal: bool) -> tuple[Tensor | None, bool]:
    """A mask and causality as one mask, where torch does not take both, or would align them at the first key."""
    N, M = q.shape[2], k.shape[2]
    if not causal or (mask is None and N == M):
        return mask, causal
    return (mask if N == 1 else joined(mask, up_to_own(N, M, q.device))), False
