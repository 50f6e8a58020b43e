"""How many elements a hidden unit may see."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor


def spread_degrees(width: int, most: int) -> Tensor:
    """Degrees from 1 to ``most``, each as often as any other, ascending: ``[width]``, on the CPU.

    >>> spread_degrees(5, 3).tolist(), spread_degrees(2, 4).tolist()
    ([1, 1, 2, 2, 3], [1, 3])
    """
    return 1 + torch.arange(width, device="cpu") * most // width


def drawn_degrees(width: int, most: int, seed: int) -> Tensor:
    """Degrees from 1 to ``most`` at random, ascending: a pure function of its arguments.

    >>> torch.equal(drawn_degrees(5, 3, seed=0), drawn_degrees(5, 3, seed=0))
    True
    """
    # Of Python's generators only random() is promised to draw the same in all versions.
    rng = Random(seed)
    shares = torch.empty(width, dtype=torch.float64, device="cpu").apply_(lambda _: rng.random())
    return 1 + (shares * most).long().sort().values
