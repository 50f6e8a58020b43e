"""How many elements a hidden unit may see."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor


def spread_degrees(width: int, least: int, most: int) -> Tensor:
    """Degrees from ``least`` to ``most``, each as often as any other, ascending: ``[width]``, on the CPU.

    >>> spread_degrees(5, 1, 3).tolist(), spread_degrees(2, 0, 3).tolist()
    ([1, 1, 2, 2, 3], [0, 2])
    """
    return least + torch.arange(width, device="cpu") * (most - least + 1) // width


def drawn_degrees(width: int, least: int, most: int, seed: int) -> Tensor:
    """Degrees from ``least`` to ``most`` at random, ascending: a pure function of its arguments.

    >>> torch.equal(drawn_degrees(5, 1, 3, seed=0), drawn_degrees(5, 1, 3, seed=0))
    True
    """
    # Of Python's generators only random() is promised to draw the same in all versions.
    rng = Random(seed)
    shares = torch.empty(width, dtype=torch.float64, device="cpu").apply_(lambda _: rng.random())
    return least + (shares * (most - least + 1)).long().sort().values
