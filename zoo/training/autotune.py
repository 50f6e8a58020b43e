"""Runtime choices of a new run; a resumed one repeats them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from ..assembly.build import build
from ..assembly.parameters import freeze, names_of, trained_players
from ..engine.distributed import Alone
from ..engine.runtime import Choices, Runtime, compile_pays, find_device, find_precision, prepare
from ..interfaces import Batch, Clock
from ..spec import Spec

STEPS = 4
"""Steps of each player that are timed; the first is not counted."""
LONG = 2.0
"""Seconds of a step beyond which the cause is reported."""


def choose(spec: Spec, processes: int, say: Callable[[str], None]) -> Choices:
    """The runtime choices of a new run; ``compile: auto`` measures whether compilation saves time."""
    device = find_device(spec.engine.device)
    engine = spec.engine
    precision = find_precision(engine.precision, device)
    eager = Choices(str(device), precision, False, engine.channels_last, processes, engine.strategy)
    if engine.compile == "off" or (engine.compile == "auto" and processes > 1 and engine.strategy == "fsdp2"):
        return eager
    compiled = replace(eager, compile=True)
    if engine.compile == "on":
        return compiled
    return compiled if compile_pays(device, _seconds_per_step(spec, eager, say), spec.train.steps) else eager


def _seconds_per_step(spec: Spec, choices: Choices, say: Callable[[str], None]) -> float:
    """The duration of forward and backward, on a temporary model."""
    device = torch.device(choices.device)
    prepare(spec, device)
    model = build(spec)
    freeze(model, spec)
    runtime = Runtime(model, choices, Alone())
    runtime.distribute()
    batch = runtime.model.event.example(spec.train.batch, device)
    seconds = 0.0
    for trained in trained_players(model, spec):
        player = trained.player
        mine = set(names_of(model, player))
        others = [p for name, p in model.named_parameters() if p.requires_grad and name not in mine]
        for p in others:
            p.requires_grad_(False)
        clock = Clock(torch.zeros((), dtype=torch.int64, device=device), spec.train.steps, player.name)
        seconds += _seconds_per_turn(runtime, batch, clock, say) * player.updates / player.every
        for p in others:
            p.requires_grad_(True)
    return seconds * spec.train.accumulate


def _seconds_per_turn(runtime: Runtime, batch: Batch, clock: Clock, say: Callable[[str], None]) -> float:
    took = []
    for _ in range(STEPS):
        began = time.perf_counter()
        runtime.forward(batch, clock).loss.backward()  # type: ignore[no-untyped-call]
        if runtime.device.type == "cuda":
            torch.cuda.synchronize(runtime.device)
        took.append(time.perf_counter() - began)
        if len(took) == 1 and took[0] > LONG:
            say(f"timing {STEPS} steps of {took[0]:.0f} s, to find out whether compiling is faster")
    return min(took[1:])
