"""Which parameters belong to whom: players and optimizer groups, by name pattern."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from ..errors import Problem, nearest
from ..interfaces import Model, Optimizer, Player
from ..spec import Spec


def freeze(model: Model, spec: Spec) -> None:
    """Let the parameters that a spec freezes stay as they are."""
    for name, p in model.named_parameters():
        if any(fnmatchcase(name, match) for match in spec.train.freeze):
            p.requires_grad_(False)


def check_frozen(model: Model, spec: Spec) -> Iterator[Problem]:
    """Patterns of frozen parameters that match none."""
    names = [name for name, _ in model.named_parameters()]
    for match in spec.train.freeze:
        if not any(fnmatchcase(name, match) for name in names):
            hint = nearest(match.strip("*."), {name.partition(".")[0] for name in names})
            yield Problem(None, "train.freeze", f"'{match}' matches the name of no parameter{hint}")


def names_of(model: Model, player: Player) -> list[str]:
    """The trainable parameters that a player moves."""
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    return [name for name in trained if fnmatchcase(name, player.match) and not fnmatchcase(name, player.but)]


def build_optimizer(optimizer: Optimizer, named: dict[str, nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer over these parameters: one group for each declared pattern, and one for the rest."""
    rest = dict(named)
    groups: list[dict[str, Any]] = []
    for declared in optimizer.groups:
        taken = [rest.pop(name) for name in list(rest) if fnmatchcase(name, declared.match)]
        own = {"lr": declared.lr, "weight_decay": declared.weight_decay}
        if taken:
            groups.append({"params": taken, **{key: value for key, value in own.items() if value is not None}})
    if rest:
        groups.append({"params": list(rest.values())})
    return optimizer.build(groups)


def check_groups(model: Model, spec: Spec) -> Iterator[Problem]:
    """Patterns that match no parameter: a group that does nothing is a mistake."""
    names = [name for name, _ in model.named_parameters()]
    for index, group in enumerate(spec.train.optimizer().groups):
        if not any(fnmatchcase(name, group.match) for name in names):
            place = spec.train.optimizer.place.under("groups", None).under(index, None)
            hint = nearest(group.match.strip("*."), {name.rpartition(".")[2] for name in names})
            yield Problem(place.mark, place.path, f"'{group.match}' matches the name of no parameter{hint}")


def check_players(model: Model, spec: Spec) -> Iterator[Problem]:
    """Players that move no parameter."""
    for player in model.players():
        if not names_of(model, player):
            yield spec.model.problem(f"its player '{player.name}' moves no parameter: none matches '{player.match}'")
