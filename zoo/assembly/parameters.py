"""Parameters by name pattern: players and optimizer groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import Problem, listed, nearest
from ..interfaces import AfterStep, Clock, Model, Optimizer, Player, Schedule
from ..registry.part import Part
from ..spec import InitFrom, Spec


@dataclass(frozen=True)
class TrainedPlayer:
    """A player of a model, and how the spec has it trained."""

    player: Player
    optimizer: Part[Optimizer]
    schedule: Part[Schedule] | None
    clip: float | None

    def takes_turn(self, step: int) -> bool:
        """Whether the player is trained in the step of this number."""
        return step % self.player.every == 0

    def turns_before(self, step: int) -> int:
        """The number of earlier steps that the player was trained in."""
        return -(-step // self.player.every)


def trained_players(model: Model, spec: Spec) -> list[TrainedPlayer]:
    """The players of a model with their training settings; defaults are those of ``train`` and of the model."""
    train, found = spec.train, []
    for player in model.players():
        own = train.players.get(player.name)
        if own is None:
            found.append(TrainedPlayer(player, train.optimizer, train.schedule, train.clip))
            continue
        turns = replace(player, updates=own.updates or player.updates, every=own.every or player.every)
        optimizer, schedule = own.optimizer or train.optimizer, own.schedule or train.schedule
        found.append(TrainedPlayer(turns, optimizer, schedule, own.clip or train.clip))
    return found


def averaged_names(model: Model, spec: Spec) -> list[str]:
    """The trainable parameters that a spec has averaged."""
    average = spec.train.average
    if average is None:
        return []
    if average.players is None:
        return [name for name, p in model.named_parameters() if p.requires_grad]
    chosen = [names_of(model, player) for player in model.players() if player.name in average.players]
    return list(dict.fromkeys(name for names in chosen for name in names))


@dataclass(frozen=True)
class Frozen:
    """The frozen parameters and parts of a model, by name."""

    parameters: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    """The declared parts all of whose parameters, or else buffers, are frozen: evaluated while the others train."""

    def train(self, model: Model) -> None:
        """Put a model into training mode, and its frozen parts into evaluation mode."""
        model.train()
        for name in self.parts:
            model.get_submodule(name).eval()

    def tensors(self, model: Model) -> list[Tensor]:
        """The frozen parameters of a model, and every tensor of its frozen parts."""
        named = dict(model.named_parameters())
        parts = [model.get_submodule(name) for name in self.parts]
        return [*(named[name] for name in self.parameters), *(x for part in parts for x in part.buffers())]


def freeze(model: Model, spec: Spec) -> Frozen:
    """Freeze the parameters that a spec freezes, and put the model into training mode."""
    filled = {id(x) for source in spec.sources().values() if source.freeze for x in filled_by(model, source).values()}

    def is_frozen(name: str, x: Tensor) -> bool:
        return id(x) in filled or any(fnmatchcase(name, match) for match in spec.train.freeze)

    parameters = {name: p for name, p in model.named_parameters() if is_frozen(name, p)}
    for p in parameters.values():
        p.requires_grad_(False)
    still = {id(p) for p in parameters.values()}
    still |= {id(x) for name, x in model.named_buffers() if is_frozen(name, x)}
    parts = []
    for name, part in model.named_modules():
        # What has statistics only, as a normalisation may, is frozen with them.
        held = [id(p) for p in part.parameters()] or [id(x) for x in part.buffers()]
        if name and getattr(part, "declaration", None) is not None and held and still.issuperset(held):
            parts.append(name)
    frozen = Frozen(tuple(parameters), tuple(parts))
    frozen.train(model)
    return frozen


def filled_by(model: Model, source: InitFrom) -> dict[str, Tensor]:
    """The tensors of a model that a share file fills, by their names in the model."""
    lead = f"{source.into}." if source.into else ""
    first: dict[int, str] = {}  # what has several names is stored under the first of them
    found = {}
    for name, x in sorted(model.state_dict(keep_vars=True).items()):
        here = name.startswith(lead) and fnmatchcase(name.removeprefix(lead), source.match)
        if first.setdefault(id(x), name) == name and here:
            found[name] = x
    return found


def check_sources(model: Model, spec: Spec) -> Iterator[Problem]:
    """Tensors that two share files would fill."""
    filled: dict[str, str] = {}
    for path, source in spec.sources().items():
        twice = [name for name in filled_by(model, source) if name in filled]
        if twice:
            other = filled[twice[0]]
            mark = spec.problem(other, "").mark
            where = f"{other}, line {mark.line}" if mark else other
            more = f" and {len(twice) - 1} more are" if len(twice) > 1 else " is"
            yield spec.problem(path, f"'{twice[0]}'{more} already filled by {where}: change 'match' or 'into' of one")
        filled = dict.fromkeys(filled_by(model, source), path) | filled


def check_after_step(model: Model, spec: Spec, frozen: Frozen) -> Iterator[Problem]:
    """Frozen parameters that a model's ``after_step`` writes into, as that of a moving teacher does.

    What cannot be called without a training step before it is checked at the first one.
    """
    named = {name: p for name, p in model.named_parameters() if name in frozen.parameters}
    before = {name: p._version for name, p in named.items()}
    clock = Clock(torch.zeros((), dtype=torch.int64), spec.train.steps, model.players()[-1].name)
    if named:
        with suppress(Exception):
            for part in model.modules():
                if part is not model and isinstance(part, AfterStep):
                    part.after_step(clock)
            model.after_step(clock)
    written = [name for name, p in named.items() if p._version != before[name]]
    if written:
        yield frozen_is_written(spec, written[0])


def frozen_is_written(spec: Spec, name: str) -> Problem:
    """The problem of a frozen parameter that a training step changes."""
    text = f"writes into the frozen parameter '{name}' in a training step, such as in after_step: do not freeze it"
    return spec.model.problem(text)


def check_frozen(model: Model, spec: Spec) -> Iterator[Problem]:
    """Patterns of frozen parameters that match none."""
    names = [name for name, _ in model.named_parameters()]
    for match in spec.train.freeze:
        if not any(fnmatchcase(name, match) for name in names):
            hint = nearest(match.strip("*."), {name.partition(".")[0] for name in names})
            yield spec.problem("train.freeze", f"no parameter name matches '{match}'{hint}")


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
    """Patterns that match no parameter of those that an optimizer is for: a group that does nothing is a mistake."""
    every = [name for name, _ in model.named_parameters()]
    declared: dict[str, tuple[Part[Optimizer], list[str]]] = {"": (spec.train.optimizer, every)}
    for player in model.players():
        own = spec.train.players.get(player.name)
        if own is not None and own.optimizer is not None:
            declared[f" of player '{player.name}'"] = own.optimizer, names_of(model, player)
    for whose, (optimizer, names) in declared.items():
        for index, group in enumerate(optimizer().groups):
            if not any(fnmatchcase(name, group.match) for name in names):
                place = optimizer.place.under("groups", None).under(index, None)
                hint = nearest(group.match.strip("*."), {name.rpartition(".")[2] for name in names})
                text = f"no parameter name{whose} matches '{group.match}'{hint}"
                yield Problem(place.mark, place.path, text)


def check_players(model: Model, spec: Spec) -> Iterator[Problem]:
    """Problems of players: unknown ones, players without parameters, and steps that train no player."""
    players = {player.name: player for player in model.players()}
    yield from _unknown_players(players, spec)
    for player in players.values():
        if not names_of(model, player):
            some = any(fnmatchcase(name, player.match) for name, _ in model.named_parameters())
            why = f"all that match '{player.match}' are frozen" if some else f"none matches '{player.match}'"
            yield spec.model.problem(f"player '{player.name}' has no trainable parameter: {why}")
    trained = trained_players(model, spec)
    if not any(one.takes_turn(1) for one in trained):
        rates = ", ".join(f"'{one.player.name}' every {one.player.every}" for one in trained)
        text = f"no player is trained in step 1 ({rates}): at least one player must have 'every: 1'"
        yield spec.problem("train.players", text)


def _unknown_players(players: Mapping[str, Player], spec: Spec) -> Iterator[Problem]:
    average = spec.train.average
    named = {f"train.players.{name}": name for name in spec.train.players}
    named |= {f"train.ema.players[{i}]": name for i, name in enumerate(average.players or [] if average else [])}
    for path, name in named.items():
        if name not in players:
            hint = nearest(name, players)
            known = "" if "known:" in hint else f"; its players are {listed(sorted(players))}"
            yield spec.problem(path, f"model '{spec.model.name}' has no player '{name}'{hint}{known}")
