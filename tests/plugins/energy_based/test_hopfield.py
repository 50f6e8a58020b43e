"""The modern Hopfield network: its energy, its update, and patterns that come back."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo

DIGIT = zoo.Event("image", zoo.Shape(1, 8, 8), levels=17)


def memory_of(n: int = 40, **values: Any) -> tuple[Any, torch.Tensor]:
    noise = torch.Generator().manual_seed(0)
    x = torch.randint(17, (n, 1, 8, 8), generator=noise, dtype=torch.uint8)
    memory = zoo.declare(zoo.Model, {"type": "hopfield", "patterns": n, **values})(DIGIT).double().eval()
    memory.remember(x)
    return memory, x


def test_half_hidden_patterns_are_restored_without_error() -> None:
    memory, x = memory_of()
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[:, :4] = True
    restored = memory.complete(zoo.Known(x.where(mask, torch.zeros_like(x)), mask.expand_as(x)))
    assert torch.equal(restored, x)
    noisy = (x.int() + torch.randint(-3, 4, x.shape)).clamp(0, 16).to(torch.uint8)
    assert torch.equal(memory.retrieve(noisy), x)


def test_the_energy_is_that_of_a_mixture_around_the_patterns() -> None:
    memory, x = memory_of(5, beta=0.5)
    at = torch.randint(17, (7, 1, 8, 8), dtype=torch.uint8)
    patterns, points = (2.0 * both.flatten(1).double() / 16.0 - 1.0 for both in (x, at))
    wanted = -(-0.25 * torch.cdist(points, patterns).square()).logsumexp(1)
    assert torch.allclose(memory.energy(at), wanted)


def test_an_update_never_raises_the_energy() -> None:
    """It leads to where the gradient is zero: x minus the update is the gradient over beta."""
    memory, _ = memory_of(5, beta=0.05)
    event = zoo.Event("row", zoo.Shape(64))
    free = zoo.declare(zoo.Model, {"type": "hopfield", "patterns": 5, "beta": 0.05})(event).double().eval()
    free.memory.copy_(memory.memory)
    free.stored.copy_(memory.stored)
    x = torch.randn(20, 64, dtype=torch.float64)
    slope = torch.func.grad(lambda at: free.energy(at).sum())(x)
    update = free._retrieve(x)
    assert torch.allclose(x - slope / free.log_beta.exp(), update, atol=1e-9)
    assert bool((free.energy(update) <= free.energy(x) + 1e-12).all())


@pytest.mark.parametrize("patterns", [3, 10])
def test_training_stores_the_first_examples(patterns: int) -> None:
    memory = zoo.declare(zoo.Model, {"type": "hopfield", "patterns": patterns})(DIGIT).train()
    batches = torch.randint(17, (3, 4, 1, 8, 8), dtype=torch.uint8)
    for batch in batches:
        memory({"image": batch}, zoo.Clock(torch.tensor(0), 10))
    wanted = 2.0 * batches.flatten(0, 1).flatten(1).float()[:patterns] / 16.0 - 1.0
    assert torch.allclose(memory.memory, wanted, atol=1e-6)
    memory.eval()({"image": batches[0]}, zoo.Clock(torch.tensor(0), 10))
    assert int(memory.stored) == patterns


def test_the_temperature_learns_the_noise() -> None:
    """The update that removes noise of variance s^2 best has beta = 1 / s^2 where patterns are dense."""
    event = zoo.Event("x", zoo.Shape(1))
    memory = zoo.declare(zoo.Model, {"type": "hopfield", "patterns": 2000, "beta": 2.0, "noise": 0.5})(event)
    memory.remember(torch.randn(2000, 1))
    memory.eval()
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(memory.parameters(), lr=0.05)
    for _ in range(120):
        optimizer.zero_grad()
        memory({"x": memory.memory[torch.randint(2000, (512,))]}, zoo.Clock(torch.tensor(0), 10)).loss.backward()
        optimizer.step()
    assert float(memory.log_beta.exp().detach()) == pytest.approx(4.0, rel=0.3)
