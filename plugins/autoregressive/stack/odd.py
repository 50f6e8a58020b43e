"""Sizes of kernels that have a middle."""

from __future__ import annotations


def odd(kernel: int) -> int:
    """The size itself; ValueError for an even one.

    >>> odd(3)
    3
    """
    if kernel % 2 == 0:
        raise ValueError(f"a kernel has a middle: its size is odd, not {kernel}")
    return kernel
