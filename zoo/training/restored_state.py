"""Validation of a checkpoint's content before a run takes it: its manifest only proves that it was not changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import DamagedFile

State = Mapping[str, Any]

SUMMED = ("float64", "float32", "float16", "bfloat16")
"""What the sums between two rows may be kept in."""


class _Unfit(Exception):
    """A state does not fit this run; the message has the key and what was expected."""


def judge(path: Path, state: State, present: State, filled: Mapping[str, State], step: int) -> None:
    """`zoo.DamagedFile` unless a checkpoint holds a state that this run can go on from.

    ``present`` is the run's own state, of the same model and averages; ``filled`` each player's optimizer as it is
    after a step.
    """
    try:
        for key in ("step", "model", "average", "optimizers", "tally", "best", "best_step", "since_best"):
            _require(key in state, key, "something", "nothing")
        _require(state["step"] == step and _counts(state["step"]), "step", str(step), state["step"])
        carried = [key for key in ("training_state",) if key in present]
        for key in ("model", "average", *carried):
            _require(key in state, key, "something", "nothing")
            _judge_form(state[key], present[key], key)
        _judge_keys(state["optimizers"], filled, "optimizers")
        for name, form in filled.items():
            _judge_optimizer(state["optimizers"][name], form, f"optimizers.{name}")
        due = state.get("due", [])
        _require(isinstance(due, list) and all(isinstance(name, str) for name in due), "due", "a list of names", due)
        _judge_tally(state["tally"], len(present["tally"]))
        best, at = state["best"], state["best_step"]
        _require(best is None or _is_number(best), "best", "a finite number or null", best)
        _require(at is None or (_counts(at) and at <= step), "best_step", f"a step up to {step} or null", at)
        since = state["since_best"]
        _require(_counts(since) and since <= step, "since_best", f"a number of validations up to {step}", since)
    except _Unfit as unfit:
        raise DamagedFile(f"{path}: {unfit}") from None


def _require(sound: bool, key: str, expected: str, found: Any) -> None:
    if not sound:
        raise _Unfit(f"'{key}' is {_shown(found)}, expected {expected}")


def _judge_form(found: Any, like: Any, key: str) -> None:
    """Tensors have the same dtype and shape, containers the same keys and lengths, other values the same type."""
    if isinstance(like, Tensor):
        same = isinstance(found, Tensor) and (found.dtype, found.shape) == (like.dtype, like.shape)
        _require(same, key, _shown(like), found)
    elif isinstance(like, Mapping):
        _judge_keys(found, like, key)
        for name in like:
            _judge_form(found[name], like[name], f"{key}.{name}")
    elif isinstance(like, Sequence) and not isinstance(like, str):
        _require(isinstance(found, list) and len(found) == len(like), key, f"a list of {len(like)}", found)
        for index, item in enumerate(like):
            _judge_form(found[index], item, f"{key}[{index}]")
    elif isinstance(like, int | float) and not isinstance(like, bool):
        _require(_is_number(found) and (found >= 0 or like < 0), key, "a finite number from 0", found)
    else:
        _require(type(found) is type(like), key, f"{like!r}, or another of its type", found)


def _judge_keys(found: Any, like: Mapping[Any, Any], key: str) -> None:
    _require(isinstance(found, Mapping), key, "a mapping", found)
    for name in sorted(map(str, found.keys() ^ like.keys())):
        raise _Unfit(f"'{key}' {'has an unknown' if name in map(str, found) else 'lacks the'} key '{name}'")


def _judge_optimizer(found: Any, form: State, key: str) -> None:
    """State of each parameter that has had a gradient, and the groups; settings that torch has gained may lack."""
    _judge_keys(found, form, key)
    state, groups, likes = found["state"], found["param_groups"], form["param_groups"]
    _require(isinstance(state, Mapping), f"{key}.state", "a mapping", state)
    _require(
        isinstance(groups, list) and len(groups) == len(likes), f"{key}.param_groups", f"{len(likes)} groups", groups
    )
    for number, held in state.items():
        at = f"{key}.state.{number}"
        _require(number in form["state"], at, "no such parameter", held)
        _judge_keys(held, form["state"][number], at)
        for name, like in form["state"][number].items():
            _judge_form(held[name], like, f"{at}.{name}")
    for index, (group, like) in enumerate(zip(groups, likes, strict=True)):
        at = f"{key}.param_groups[{index}]"
        _require(isinstance(group, Mapping), at, "a mapping", group)
        _judge_keys({name: like[name] for name in like if name not in GROUP} | group, like, at)
        _require(group["params"] == like["params"], f"{at}.params", str(like["params"]), group["params"])
        for name in group.keys() - {"params"}:
            # Such a setting, of which nothing but the spec decides, says which state there has to be.
            fixed = isinstance(like[name], bool | str | None)
            _require(not fixed or group[name] == like[name], f"{at}.{name}", repr(like[name]), group[name])
            _judge_form(group[name], like[name], f"{at}.{name}")


GROUP = ("params", "lr", "initial_lr")
"""What a group of parameters cannot do without."""


def _judge_tally(found: Any, processes: int) -> None:
    _require(isinstance(found, list) and len(found) == processes, "tally", f"a list of {processes}", found)
    for index, tally in enumerate(found):
        at = f"tally[{index}]"
        _judge_keys(tally, {"sums": None, "counts": None}, at)
        sums, counts = tally["sums"], tally["counts"]
        _require(isinstance(sums, Mapping), f"{at}.sums", "a mapping", sums)
        _judge_keys(counts, sums, f"{at}.counts")
        for name in sums:
            total = sums[name]
            sound = isinstance(name, str) and isinstance(total, list) and len(total) == 2 and isinstance(total[1], str)
            sound = sound and isinstance(total[0], float) and total[1] in SUMMED
            _require(sound, f"{at}.sums.{name}", "a number and its dtype", total)
            _require(_counts(counts[name]) and counts[name] > 0, f"{at}.counts.{name}", "a number from 1", counts[name])


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _counts(value: Any) -> bool:
    return type(value) is int and value >= 0


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, Mapping | list):
        return f"a {'list' if isinstance(value, list) else 'mapping'} of {len(value)}"
    return ascii(value)[:80]
