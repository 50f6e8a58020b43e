"""Laws of the starts of chains: as many points as data, and a memory of declared size."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Event, Shape
from zoo.testing import Laws, require

from ..starts import Persistent, Start, Started

B = 6


def batch(start: Start, dtype: torch.dtype = torch.float32) -> Tensor:
    """A batch of numbers in the form of the data."""
    return torch.linspace(-0.9, 0.9, B * start.event.shape.size, dtype=dtype).reshape(B, *start.event.shape)


def started(start: Start, x: Tensor, seed: int = 0) -> Started:
    """Points to start from, by a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found: Started = start(x)
        return found


def points_have_form(start: Start) -> None:
    """As many points as data, of their shape and dtype, in both modes."""
    for training in (True, False):
        for dtype in (torch.float32, torch.float64):
            x = batch(start, dtype)
            found = started(start.train(training), x).x
            require(found.shape == x.shape and found.dtype == dtype, f"{list(found.shape)} in {found.dtype}, expected "
                    f"{list(x.shape)} in {dtype}")  # fmt: skip
            require(found.isfinite().all(), "points to start from are not finite")


def memory_is_training_state(start: Start) -> None:
    """The memory is neither part of the stored state of the model, nor changed in evaluation."""
    require(not start.state_dict(), "the points that chains start from must not be in a share file: use TrainingState")
    start.eval()
    before = {name: x.clone() for name, x in start.named_buffers()}
    x = batch(start)
    start.store(started(start, x), x)
    same = all(torch.equal(x, before[name]) for name, x in start.named_buffers())
    require(same, "in evaluation mode the memory must not change")


def ends_are_stored(start: Start) -> None:
    """Of a persistent start: the ends go to the rows that the chains came from, one row each, and no others change."""
    if not isinstance(start, Persistent):
        return
    before = start.train().chains.clone()
    x = batch(start)
    found = started(start, x)
    require(found.rows is not None and len(set(found.rows.tolist())) == len(x), "each chain must have a separate row")
    start.store(found, x)
    require(torch.equal(start.chains[found.rows], x), "the ends of the chains are not in the buffer")
    changed = (start.chains != before).flatten(1).any(1)
    require(int(changed.sum()) <= len(x), "rows of other chains have changed")
    again = started(start, x)
    known = torch.isin(again.x.flatten(1)[:, 0], start.chains.flatten(1)[:, 0])
    require(bool(known.any()), "chains must continue from the buffer")


def chains_are_renewed(start: Start) -> None:
    """Of a persistent start: the share of chains that start from noise is the declared one."""
    if not isinstance(start, Persistent):
        return
    start.train().chains.fill_(7.0)
    x = batch(start)
    fresh = torch.stack([(started(start, x, seed).x != 7.0).flatten(1).any(1) for seed in range(500)]).double().mean()
    error = (start.fresh * (1.0 - start.fresh) / (500 * B)) ** 0.5
    off = abs(float(fresh) - start.fresh)
    require(off <= 5.0 * error + 1e-9, f"{float(fresh):.3f} of the chains start from noise, expected {start.fresh:g}")


LAWS = Laws.of(
    points_have_form,
    memory_is_training_state,
    ends_are_stored,
    chains_are_renewed,
    given=[(Event("point", Shape(2)),), (Event("image", Shape(1, 4, 4), levels=17),)],
)
