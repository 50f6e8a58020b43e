"""One player's turn: forward, backward, optimizer step, over the parameters that are its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..assembly.parameters import TrainedPlayer, build_optimizer, names_of
from ..engine.fsdp import whole
from ..engine.runtime import Runtime
from ..interfaces import Batch, Clock, Model, Terms
from .nan_guard import Sentinel
from .running_mean import Tally


class Turn:
    """A player with its optimizer. With one player its turn is the whole training step."""

    def __init__(self, trained: TrainedPlayer, model: Model, accumulate: int, alone: bool) -> None:
        named = dict(model.named_parameters())
        mine = names_of(model, trained.player)
        self.trained, self.player = trained, trained.player
        self.parameters = [named[name] for name in mine]
        self.others: list[nn.Parameter] = []
        if not alone:
            self.others = [p for name, p in named.items() if p.requires_grad and name not in set(mine)]
        self.prefix = "" if alone else f"{self.player.name}."
        self.clip, self.accumulate = trained.clip, accumulate
        self.schedule = trained.schedule() if trained.schedule else None
        self.optimizer = build_optimizer(trained.optimizer(), {name: named[name] for name in mine})
        for group in self.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])

    def take(
        self, runtime: Runtime, batches: Iterator[Batch], clock: Clock, step: int, sentinel: Sentinel, tally: Tally
    ) -> None:
        """One optimizer step. Raises `Diverged` before it where a loss or the gradient is not finite."""
        self._set_rates(step, clock.steps)
        for p in self.others:
            p.requires_grad_(False)
        at = clock.step if runtime.device.type == "cuda" else step
        for number, batch in enumerate(batches, 1):
            with runtime.synchronising(number == self.accumulate):
                terms = runtime.forward(batch, clock)
                values = self._named(terms)
                sentinel.check(at, values, terms.loss)
                (terms.loss / self.accumulate).backward()  # type: ignore[no-untyped-call]
                tally.add(values)
        if self.clip is not None:
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.clip, foreach=True)
            norm = whole(norm)
            values = {f"{self.prefix}grad_norm": norm}
            sentinel.check(at, values, norm)
            tally.add(values)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        for p in self.others:
            p.requires_grad_(True)

    def _named(self, terms: Terms) -> dict[str, Tensor]:
        """The names of the loss, its terms and their weights in a row."""
        weights = {f"weight.{name}": weight for name, weight in terms.weights.items()}
        named = {"loss": terms.loss, **terms.logs, **weights}
        return {f"{self.prefix}{name}": value for name, value in named.items()}

    def learning_rate(self) -> float:
        """As logged: of the parameters that no group is for, or else of the last group."""
        return float(self.optimizer.param_groups[-1]["lr"])

    def fill(self) -> None:
        """Take a step of nothing, which makes the state that an optimizer has only after its first."""
        for p in self.parameters:
            p.grad = torch.zeros_like(p)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def filled(self) -> dict[str, Any]:
        """The form of the optimizer's state after a step: tensors without memory. The weights have moved."""
        self.fill()
        state = self.state()
        held = {number: _forms(values) for number, values in state["state"].items()}
        return {**state, "state": held}

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.optimizer.state_dict()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        # Torch may have gained settings since: their values are those of the spec.
        groups = [mine | saved for mine, saved in zip(self.state()["param_groups"], state["param_groups"], strict=True)]
        self.optimizer.load_state_dict({**state, "param_groups": groups})
        for p, held in self.optimizer.state.items():
            for name, value in held.items():
                if isinstance(value, torch.Tensor) and value.dim() > 1 and value.shape == p.shape:
                    # Fused kernels walk through memory: moments must lie there as their parameter does.
                    held[name] = torch.empty_like(p, dtype=value.dtype).copy_(value)

    def _set_rates(self, step: int, steps: int) -> None:
        if self.schedule is None:
            return
        factor = self.schedule.factor(step, steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor


def _forms(values: dict[str, Any]) -> dict[str, Any]:
    tensors = {name: x for name, x in values.items() if isinstance(x, Tensor)}
    return values | {name: torch.empty(x.shape, dtype=x.dtype, device="meta") for name, x in tensors.items()}
