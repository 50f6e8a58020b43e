"""Examples derived from those of another data set: a selection, or all with one more step on the device."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import final

import torch
from torch import Tensor

from zoo import Batch, Examples, InMemory

Step = Callable[[Batch], Batch]


def rendered(examples: Examples, step: Step, mark: str) -> Examples:
    """Examples whose batches pass one more step when they are rendered; ``mark`` identifies the step in the
    fingerprint.

    >>> twice = rendered(InMemory({"x": torch.arange(3)}), lambda batch: {"x": 2 * batch["x"]}, "twice")
    >>> twice.render(twice.read(torch.tensor([2, 0])))
    {'x': tensor([4, 0])}
    """
    return _derived(examples, None, step, mark)


def chosen(examples: Examples, numbers: Tensor, mark: str) -> Examples:
    """The examples with these numbers (int64, on the CPU); ``mark`` identifies them in the fingerprint.

    >>> chosen(InMemory({"x": torch.arange(9)}), torch.tensor([4, 7]), "two").read(torch.tensor([1]))
    {'x': tensor([7])}
    """
    return _derived(examples, numbers, _unchanged, mark)


def in_memory(examples: Examples, tensors: Mapping[str, Tensor]) -> Examples:
    """Tensors that were computed once from examples, in memory.

    >>> in_memory(InMemory({"x": torch.arange(3)}), {"y": torch.arange(3)}).read(torch.tensor([1]))
    {'y': tensor([1])}
    """
    return _Kept(examples, tensors)


def _derived(examples: Examples, numbers: Tensor | None, step: Step, mark: str) -> Examples:
    if isinstance(examples, InMemory):
        return _Resident(examples, numbers, step, mark)
    return _Streamed(examples, numbers, step, mark)


@final
class _Kept(InMemory):
    """Tensors that were computed from other examples, with the warnings of those."""

    def __init__(self, of: Examples, tensors: Mapping[str, Tensor]) -> None:
        super().__init__(tensors)
        self.of = of

    def survey(self) -> Iterable[str]:
        return self.of.survey()

    def summary(self) -> str:
        return f"{len(self):,} of {self.of.summary()}" if len(self) < len(self.of) else self.of.summary()


@final
class _Resident(InMemory):
    """Examples derived from examples in memory, and so in memory too."""

    def __init__(self, of: InMemory, numbers: Tensor | None, step: Step, mark: str) -> None:
        super().__init__(of.tensors if numbers is None else of.read(numbers))
        self.of, self.step, self.mark = of, step, mark

    def fingerprint(self) -> str:
        return _marked(self.of.fingerprint(), self.mark)

    def survey(self) -> Iterable[str]:
        return self.of.survey()

    def summary(self) -> str:
        return f"{len(self):,} of {self.of.summary()}" if len(self) < len(self.of) else self.of.summary()

    def render(self, batch: Batch) -> Batch:
        return self.step(self.of.render(batch))


@final
class _Streamed(Examples):
    """Examples derived from examples that are read batch by batch."""

    def __init__(self, of: Examples, numbers: Tensor | None, step: Step, mark: str) -> None:
        self.of, self.step, self.mark = of, step, mark
        self.numbers = torch.arange(len(of)) if numbers is None else numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, indices: Tensor) -> dict[str, Tensor]:
        return self.of.read(self.numbers[indices])

    def fingerprint(self) -> str:
        return _marked(self.of.fingerprint(), self.mark)

    def survey(self) -> Iterable[str]:
        return self.of.survey()

    def summary(self) -> str:
        return f"{len(self):,} of {self.of.summary()}" if len(self) < len(self.of) else self.of.summary()

    def render(self, batch: Batch) -> Batch:
        return self.step(self.of.render(batch))


def _unchanged(batch: Batch) -> Batch:
    return batch


def _marked(fingerprint: str, mark: str) -> str:
    return f"sha256:{hashlib.sha256(f'{fingerprint} {mark}'.encode()).hexdigest()[:32]}"
