"""Rows gathered over processes: a loss that compares all examples is that of one process with the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch import distributed as dist
from two_processes import SIZE, finish, together

import zoo
from zoo.engine.distributed import joined

B, D = 3, 4


def example() -> tuple[Tensor, Tensor]:
    """A weight, and the rows of all processes."""
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(D, D, generator=draw, dtype=torch.float64)
    return weight, torch.randn(SIZE * B, D, generator=draw, dtype=torch.float64)


def contrast(anchors: Tensor, others: Tensor, first: int = 0) -> Tensor:
    """How well each anchor is told from the others by its own row, which begin at ``first``."""
    own = torch.arange(first, first + len(anchors))
    return torch.nn.functional.cross_entropy(anchors @ others.T, own)


def whole(z: Tensor, rank: int) -> Tensor:
    every = zoo.gather_over_processes(z)
    return contrast(every, every.tanh())


def rows_of_its_own(z: Tensor, rank: int) -> Tensor:
    return contrast(z, zoo.gather_over_processes(z.tanh()), rank * B)


@pytest.mark.parametrize("loss", [whole, rows_of_its_own])
def test_the_mean_gradient_is_that_of_the_whole_batch(loss: Callable[[Tensor, int], Tensor], tmp_path: Path) -> None:
    weight, rows = example()
    z = rows @ weight.requires_grad_()
    (expected,) = torch.autograd.grad(contrast(z, z.tanh()), weight)

    def work(rank: int) -> None:
        with joined():
            weight, rows = example()
            z = rows[rank * B : (rank + 1) * B] @ weight.requires_grad_()
            loss(z, rank).backward()  # type: ignore[no-untyped-call]
            assert weight.grad is not None
            dist.all_reduce(weight.grad)
            torch.save(weight.grad / SIZE, tmp_path / str(rank))  # as training averages gradients

    finish(together(work))
    for rank in range(SIZE):
        torch.testing.assert_close(torch.load(tmp_path / str(rank)), expected, rtol=1e-12, atol=1e-14)


def test_rows_come_by_rank_of_any_layout_and_dtype() -> None:
    def work(rank: int) -> None:
        with joined() as processes:
            for dtype in (torch.float32, torch.int64, torch.uint8):
                x = torch.arange(6).reshape(2, 3).T.to(dtype) + rank  # [3, 2], by columns
                every = zoo.gather_over_processes(x)
                assert torch.equal(every, torch.cat([x - rank, x - rank + 1]))
            # What the first process does alone waits for nobody.
            assert processes.once(lambda: zoo.gather_over_processes(x) is x and zoo.mean_over_processes(x) is x)

    finish(together(work))


def test_alone_it_is_the_tensor_itself() -> None:
    x = torch.ones(2, 3)
    assert zoo.gather_over_processes(x) is x
