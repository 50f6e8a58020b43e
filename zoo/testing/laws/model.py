"""Laws of whole models: training, sampling, scoring, and restoring from state."""

from __future__ import annotations

import copy

import torch
from safetensors.torch import load, save
from torch import Tensor

from ...assembly.parameters import names_of
from ...event import Event
from ...interfaces.capabilities import Samples, SamplesEntries, Scores, training_state, without_training_state
from ...interfaces.model import Batch, Clock, Model, Player, Terms
from ..errors import distance, require, require_event, require_per_sample
from ..perturb import initialize

BATCH = 5
"""Odd, so that examples of two levels are not uniform, which would leave nothing to learn."""


def objective_is_a_number(model: Model) -> None:
    """For every player the loss is a finite scalar, and each term that is logged a scalar or one number an example."""
    for player in model.players():
        terms = started(model).train()(batch_of(model), clock(player.name, 0))
        require(isinstance(terms, Terms), f"forward returns {type(terms).__name__}: return zoo.Terms")
        require(terms.loss.dim() == 0, f"the loss has shape {list(terms.loss.shape)}: return a scalar")
        require(terms.loss.isfinite(), f"the loss of an untrained model is {terms.loss.item()}")
        for name, values in terms.logs.items():
            require(tuple(values.shape) in ((), (BATCH,)), f"the term '{name}' has shape {list(values.shape)}: log a "
                    f"scalar, or one number an example")  # fmt: skip
            require(values.isfinite().all(), f"the term '{name}' of an untrained model is not finite")


def learns(model: Model) -> None:
    """Two steps of every player change its own parameters and no others, with a finite loss."""
    started(model).train()
    for step in range(2):
        for player in model.players():
            before = {name: x.detach().clone() for name, x in model.named_parameters()}
            require(bool(names_of(model, player)), f"the player '{player.name}' has no parameters: '{player.match}' "
                    f"matches no name")  # fmt: skip
            loss = step_of(model, player, step)
            require(loss.isfinite(), f"the loss of '{player.name}' is {loss.item()} after {step} steps")
            moved = [name for name, x in model.named_parameters() if not torch.equal(x, before[name])]
            require(bool(moved), f"a step of '{player.name}' changes no parameter: the loss does not depend on them")
        model.after_step(clock("model", step))


def draws_are_data(model: Model) -> None:
    """``sample(n)`` is ``[n, *shape]``: levels where the event has levels, otherwise finite floating point numbers."""
    if not isinstance(model, Samples):
        return
    started(model).eval()
    for n in (1, 4):
        for name, x in drawn_by(model, n).items():
            entry = model.event.entries[name]
            require_event(f"the sample of '{name}'", x, n, entry.shape)
            _require_values(entry, x)


def scores_each_example_alone(model: Model) -> None:
    """``log_prob`` is ``[B]`` and finite; an exact one is the same for each example alone and at every call."""
    if not isinstance(model, Scores):
        return
    started(model).eval()
    batch = batch_of(model)
    with torch.no_grad():
        log_p = model.log_prob(batch[model.event.name], model.given(batch))
        require_per_sample("log_prob", log_p, BATCH)
        require(log_p.isfinite().all(), "the log_prob of data is not finite")
        if not model.exact:
            return
        for index in range(BATCH):
            one = {name: x[index : index + 1] for name, x in batch.items()}
            alone = model.log_prob(one[model.event.name], model.given(one))
            error = distance(alone, log_p[index : index + 1])
            require(error <= 1e-3 * max(1.0, float(alone.abs())), f"the log_prob of an example is off by {error:.3g} "
                    f"when it is scored alone: it depends on the others in the batch, or on chance")  # fmt: skip


def scoring_and_drawing_keep_state(model: Model) -> None:
    """In evaluation mode nothing that is stored changes."""
    started(model).eval()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    _answers(model)
    changed = [name for name, x in model.state_dict().items() if not torch.equal(x, before[name])]
    require(not changed, f"scoring or drawing in evaluation mode changes {', '.join(changed)}")


def comes_back(model: Model) -> None:
    """A model that is rebuilt from its declaration and state scores and samples the same to the last bit."""
    started(model).train()
    for player in model.players():
        step_of(model, player, 0)
    model.eval()
    with without_training_state():
        other = another(model).eval()
    stored = load(save({name: x.contiguous().clone() for name, x in model.state_dict().items()}))
    missing, unexpected = other.load_state_dict(stored, strict=False)
    require(not (missing or unexpected), f"the model that its declaration builds has other entries than were saved: "
            f"{', '.join([*missing, *unexpected])}")  # fmt: skip
    try:
        theirs = _answers(other)
    except Exception as error:
        require(not training_state(model), f"without its training state it cannot score or draw ({error}): register "
                "what that needs as a parameter or a persistent buffer")  # fmt: skip
        raise
    for what, ours in _answers(model).items():
        require(
            torch.equal(ours, theirs[what]),
            f"{what} differs after the model was saved and loaded: register what it needs as a parameter or a "
            "persistent buffer",
        )


def started(model: Model) -> Model:
    """The model, as training has it before step 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        initialize(model, batch_of(model), clock(model.players()[0].name, 0))
    return model


def batch_of(model: Model) -> Batch:
    """Examples that have the form of the data."""
    return model.event.example(BATCH, "cpu")


def clock(player: str, step: int) -> Clock:
    """A moment of a training of ten steps."""
    return Clock(torch.tensor(step), 10, player)


def step_of(model: Model, player: Player, step: int) -> Tensor:
    """One step of gradient descent of a player; the loss before it."""
    own = [model.get_parameter(name) for name in names_of(model, player)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(step)
        loss: Tensor = model(batch_of(model), clock(player.name, step)).loss
    gradients = torch.autograd.grad(loss, own, allow_unused=True)
    with torch.no_grad():
        for x, gradient in zip(own, gradients, strict=True):
            if gradient is not None:
                x.sub_(1e-3 * gradient)
    return loss.detach()


def drawn_by(model: Model, n: int) -> Batch:
    """Draws by a fixed seed, of every entry that the model draws."""
    if not isinstance(model, SamplesEntries):
        return {model.event.name: drawn(model, n)} if isinstance(model, Samples) else {}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return model.sample_entries(n, model.given(model.event.example(n, "cpu")))


def drawn(model: Samples, n: int) -> Tensor:
    """Draws by a fixed seed, of classes in turn where the model takes some."""
    context = model.given(model.event.example(n, "cpu")) if isinstance(model, Model) else None
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return model.sample(n, context)


def another(model: Model) -> Model:
    """The model built again with other random numbers: only its declaration is the same."""
    declared = model.__dict__.get("declaration")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        if declared is not None:
            built: Model = declared(model.event)
            return built
        other = copy.deepcopy(model)
        for x in (*other.parameters(), *other.buffers()):
            x.data.add_(1)
        return other


def _answers(model: Model) -> dict[str, Tensor]:
    """The outputs of the model, by one seed."""
    answers, batch = {}, batch_of(model)
    if isinstance(model, Scores):
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            answers["log_prob"] = model.log_prob(batch[model.event.name], model.given(batch))
    answers |= {f"sample of '{name}'": x for name, x in drawn_by(model, 3).items()}
    return answers


def _require_values(event: Event, x: Tensor) -> None:
    if event.levels is None:
        require(x.is_floating_point() and bool(x.isfinite().all()), "the sample has numbers that are not finite")
        return
    low, high = float(x.min()), float(x.max())
    require(not x.is_floating_point(), f"the event has {event.levels} levels: draw integers, got {x.dtype}")
    require(
        low >= 0 and high < event.levels, f"the sample has levels {low:g} to {high:g}, expected 0 to {event.levels - 1}"
    )
