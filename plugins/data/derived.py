"""Examples made from those of another data set: some of them, or all with one more step on the device."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from torch import Tensor

from zoo import Batch, Examples, InMemory

Step = Callable[[Batch], Batch]


def rendered(examples: Examples, step: Step, mark: str) -> Examples:
    """Examples whose batches go through one more step when they are rendered; ``mark`` says all that it depends on.

    >>> import torch
    >>> twice = rendered(InMemory({"x": torch.arange(3)}), lambda batch: {"x": 2 * batch["x"]}, "twice")
    >>> twice.render(twice.read(torch.tensor([2, 0])))
    {'x': tensor([4, 0])}
    """
    if isinstance(examples, InMemory):
        return _Resident(examples, examples.tensors, lambda batch: step(examples.render(batch)), mark)
    return _Streamed(examples, None, lambda batch: step(examples.render(batch)), mark)


def chosen(examples: Examples, numbers: Tensor, mark: str) -> Examples:
    """The examples with these numbers (int64, on the CPU); ``mark`` says which they are.

    >>> import torch
    >>> chosen(InMemory({"x": torch.arange(9)}), torch.tensor([4, 7]), "two").read(torch.tensor([1]))
    {'x': tensor([7])}
    """
    if isinstance(examples, InMemory):
        return _Resident(examples, examples.read(numbers), examples.render, mark)
    return _Streamed(examples, numbers, examples.render, mark)
