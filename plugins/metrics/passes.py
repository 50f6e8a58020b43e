"""Passes through the network that a draw takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from zoo import Batch, Condition, DataError, Measurement, Metric, Model, component

from ..nets.masked.net import AutoregressiveNet
from .samples.draws import samples


@component("passes_per_draw", example={"draws": 2})
class PassesPerDraw(Metric):
    r"""Passes of a draw: how often the network is evaluated, one evaluation after the other, to draw.

    A batch of examples is drawn at once, and the evaluations of the layer that is evaluated most often are counted:
    1 for the decoder of an autoencoder and for the inverse of a coupling flow, the steps of an iteration that is solved
    or sampled. An autoregressive model that draws number by number takes a pass for each number that depends on
    another, even where it caches so much of the network that these passes cost about as much as one.

    Raises ValueError for a model that does not sample.

    Args:
        draws: The number of draws of the batch; of a model that is conditioned, at most as many as there are examples.
        seed: The seed of the draws, on which the length of an iteration may depend.
    """

    def __init__(self, *, draws: PositiveInt = 64, seed: NonNegativeInt = 0) -> None:
        self.draws = draws
        self.seed = seed

    def check(self, model: Model) -> None:
        samples(model)

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"passes_per_draw": "min"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        context = self._context(model, batches)
        n = self.draws if context is None else len(next(iter(context.values())))
        with torch.no_grad(), torch.random.fork_rng(), calls_of_layers(model) as calls:
            torch.manual_seed(self.seed)
            samples(model).sample(n, context)
        return {"passes_per_draw": Measurement(max(calls.values(), default=1), n)}

    def _context(self, model: Model, batches: Iterable[Batch]) -> Condition | None:
        """The conditions of the first examples, of a model that is conditioned."""
        if not model.conditions:
            return None
        given: dict[str, list[Tensor]] = {name: [] for name in model.conditions}
        left = self.draws
        for batch in batches:
            for name, parts in given.items():
                parts.append(batch[name][:left])
            left -= len(batch[model.event.name])
            if left <= 0:
                break
        if not next(iter(given.values())):
            raise DataError("no examples to measure on")
        return {name: torch.cat(parts) for name, parts in given.items()}


@contextmanager
def calls_of_layers(model: nn.Module) -> Iterator[Counter[nn.Module]]:
    """Context manager that counts the calls of each module with parameters that are its own.

    An autoregressive network that is unrolled counts once for each of its sites.
    """
    calls: Counter[nn.Module] = Counter()
    layers = [part for part in model.modules() if next(part.parameters(recurse=False), None) is not None]
    nets = [part for part in model.modules() if isinstance(part, AutoregressiveNet)]
    hooks = [layer.register_forward_pre_hook(lambda layer, given: calls.update([layer])) for layer in layers]
    for net in nets:
        vars(net)["unroll"] = partial(_counted, net, net.unroll, calls)
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()
        for net in nets:
            del vars(net)["unroll"]


def _counted(net: AutoregressiveNet, unroll: Callable[..., Tensor], calls: Counter[nn.Module], *given: Any) -> Tensor:
    calls[net] += net.sites.size
    return unroll(*given)
