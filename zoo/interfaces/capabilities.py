"""Capabilities of modules beyond their kind: declared by inheritance, never probed by attribute."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import final

import torch
from torch import Tensor

from ..errors import UsageError
from ..event import Event
from .boundary import Capability, Known, objective, readout
from .model import Batch, Clock, Condition, Model
from .weighting import LatentTerms


class Scores(Capability, ABC):
    """A model with a likelihood, exact or bounded."""

    exact: bool
    """Whether `log_prob` is the log-likelihood itself, the same at each call; otherwise a bound, or an estimate. What
    parts that solve equations are off by is left aside: it depends on weights and data, and `Solves` is measured."""

    unbiased: bool = False
    """Of a likelihood that is not exact: whether the mean of `log_prob` over calls is the log-likelihood, no bound."""

    density: bool = False
    """Whether `log_prob` of data with levels is of a density over their scale: no code length, no bits."""

    @objective
    @abstractmethod
    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        """:math:`\\log p(x)` of data as the event describes it, ``[B, *shape] -> [B]``, in nats.

        The ``context`` has the entries that the model is conditioned on, as they are in a batch: ``{"label": [B]}``,
        ``{"image": [B, C, H, W], "text": [B, L]}``. Callers may give the tensor alone where there is one entry.
        """


class Unnormalised(Capability, ABC):
    r"""A model with a density that is known up to a constant, :math:`p(x) = \exp(-U(x)) / Z`.

    Where data has one or two numbers, :math:`Z` is an integral over a grid: pictures of the density and the metric
    ``nll_grid`` take such a model.
    """

    @objective
    @abstractmethod
    def energy(self, x: Tensor, context: Condition | None = None) -> Tensor:
        """:math:`U(x)` of data as the event describes it, ``[B, *shape] -> [B]``, in nats; as in `Scores.log_prob`."""


class Samples(Capability, ABC):
    """A model that draws new data."""

    @readout
    @abstractmethod
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        """``n`` draws, data as the event describes it, ``[n, *shape]``; the context as in `Scores.log_prob`."""


class SamplesMeans(Samples, ABC):
    """A model whose draws are a mean and noise around it: of the two it can give the mean alone."""

    @readout
    @abstractmethod
    def sample_mean(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        """As `sample`, without the noise of the likelihood: floating point numbers on the scale of the data."""


class SamplesEntries(Samples, ABC):
    """A model that draws several entries of an example together, such as an image with its text."""

    @property
    def drawn(self) -> Sequence[str]:
        """The names of the entries that it draws, the modelled one first; all of the event but its label by default."""
        event = self.event  # type: ignore[attr-defined]
        return (event.name, *(entry.name for entry in event.also))

    @readout
    @abstractmethod
    def sample_entries(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Batch:
        """``n`` draws of the entries in `drawn` by name, each as the event describes it, ``[n, *shape]``."""

    @readout
    @final
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.sample_entries(n, context, temperature)[self.drawn[0]]


def drawn_entries(model: Model) -> Mapping[str, Event]:
    """The entries that a model draws, by name, the modelled one first."""
    names = model.drawn if isinstance(model, SamplesEntries) else (model.event.name,)
    return {name: model.event.entries[name] for name in names}


class Decodes(Samples, ABC):
    r"""A model whose draws are a function of a latent: all chance is in the latent, none in its decoding.

    .. math:: z \sim p(z), \qquad x = g(z)

    with :math:`g` a flow's inverse, a GAN's generator, the steps of a deterministic diffusion sampler. A decoder whose
    likelihood adds noise of its own, :math:`x = \mu(z) + \sigma \epsilon`, has :math:`(z, \epsilon)` as its latent.
    What decodes can be exported for other runtimes.

    Shapes: the latent is ``[n, ...]``, one tensor of floating point numbers, a row for each draw; a draw depends on
    its own row alone.
    """

    @readout
    @abstractmethod
    def draw_latent(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        """``n`` latents, ``[n, ...]``; the temperature scales their spread about the mode."""

    @readout
    @abstractmethod
    def decode(self, z: Tensor, context: Condition | None = None) -> Tensor:
        """``z -> x``: data as the event describes it, ``[n, *shape]``."""

    @readout
    @final
    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.decode(self.draw_latent(n, context, temperature), context)


class Completes(Capability, ABC):
    """Model that samples the missing part of data."""

    @readout
    @abstractmethod
    def complete(self, known: Known, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        """Data ``[n, *shape]`` that agrees with the known part, the rest sampled."""

    @abstractmethod
    def unseen(self, known: Tensor) -> Tensor:
        """The share of the known part that a sample does not depend on, ``[n, *shape] -> [n]``: `unseen_share`."""


def unseen_share(known: Tensor, ranks: Tensor) -> Tensor:
    """The share of known numbers that ancestral sampling in an order ignores, between 0 and 1.

    The share of the pairs of a number that is drawn and one that is known where the first is drawn without the second.

    Shapes: ``known``, booleans, ``[n, *shape]``; ``ranks``, when each number is drawn, ``[D]``; the share ``[n]``.

    >>> unseen_share(torch.tensor([[True, False, False, True]]), torch.tensor([0, 1, 2, 3]))
    tensor([0.5000], dtype=torch.float64)
    """
    ranks = ranks.to(known.device)
    given = known.flatten(1).double()
    drawn = 1.0 - given
    later = (ranks.unsqueeze(0) > ranks.unsqueeze(1)).double()  # row i: what is drawn after number i
    pairs = drawn.sum(1) * given.sum(1)
    return ((drawn @ later) * given).sum(1) / pairs.clamp(min=1.0)


class Traces(Capability, ABC):
    """Model whose draws are made in steps, from noise to data: by an equation, or a Markov chain."""

    @readout
    @abstractmethod
    def trace(self, n: int, frames: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        """``n`` draws on their way, ``[F, n, *shape]`` on the scale of `Event.unit`, the last ones finished.

        At most ``frames`` of them, at equal distances of the steps; noise is scaled to about the size of data.
        """


class Varies(Capability, ABC):
    """Model that draws data near given data."""

    @readout
    @abstractmethod
    def vary(self, x: Tensor, strength: float, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        """One draw near each example, ``[B, *shape]``; a strength of 0 leaves it, and of 1 is a draw from noise."""


class Encodes(Capability, ABC):
    """A model that gives data a code."""

    @readout
    @abstractmethod
    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        """The codes of data, ``[B, *shape] -> [B, ...]``: one each, such as the mean of a posterior."""


class Reconstructs(Encodes, ABC):
    """Model that reconstructs data from codes."""

    @readout
    @abstractmethod
    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        """The mean data of codes as `encode` gives them, ``[B, ...] -> [B, *shape]``, on the scale of `Event.unit`."""

    @readout
    @final
    def reconstruct(self, x: Tensor, context: Condition | None = None) -> Tensor:
        """The mean data of the codes of data, ``[B, *shape]``, on the scale of `Event.unit`."""
        return self.expect(self.encode(x, context), context)


class Quantizes(Scores, Reconstructs, ABC):
    r"""Model with integer codes, over which a density can be learned.

    .. math:: \log p(x) \ge \log p(x \mid k) + \log p(k), \qquad k = \mathrm{codes}(x)
    """

    @abstractmethod
    def code_event(self) -> Event:
        """The event of the codes as data."""

    @readout
    @abstractmethod
    def codes(self, x: Tensor) -> Tensor:
        """The codes of data, int64: as many for each as `code_event` has numbers."""

    @objective
    @abstractmethod
    def log_likelihood(self, x: Tensor, codes: Tensor) -> Tensor:
        r""":math:`\log p(x \mid k)`, ``[B]``, in nats."""

    @readout
    @abstractmethod
    def draw_given(self, codes: Tensor, temperature: float = 1.0) -> Tensor:
        """A draw of data for each row of codes, ``[B, *shape]``."""

    def mean_given(self, codes: Tensor) -> Tensor:
        """The mean of such draws, on the scale of `Event.unit`; a hook, for models that know it."""
        raise UsageError(f"{type(self).__name__} has no closed-form mean of its draws")


class VariationalBound(Scores, ABC):
    r"""A model of data and a latent with an approximate posterior, :math:`\log p(x) \ge \mathrm{ELBO}(x)`."""

    exact = False

    @objective
    @abstractmethod
    def terms(self, x: Tensor, context: Condition | None = None) -> LatentTerms:
        """The two sides of the bound for each example, by a draw of its latent."""

    @objective
    @abstractmethod
    def log_weights(self, x: Tensor, n: int, context: Condition | None = None) -> Tensor:
        r""":math:`\log p(x, z) - \log q(z \mid x)` of at least ``n`` draws of each latent, ``[S, B]``.

        The logarithm of the mean of their exponentials is a lower bound, the tighter the more draws.
        """

    @objective
    @final
    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        terms = self.terms(x, context)
        return -(terms.nll + terms.kl)


class Predicts(Capability, ABC):
    """Model that classifies."""

    @readout
    @abstractmethod
    def predict(self, x: Tensor, context: Condition | None = None) -> Tensor:
        """The logits of the classes, ``[B, *shape] -> [B, classes]``."""


class NormalMoments(ABC):
    """A distribution of independent normals, which divergences have closed forms with."""

    @abstractmethod
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the standard deviation, ``[*shape]`` each."""


class TakesContext(ABC):
    """Part that takes a context: conditioning information, passed as its ``context`` argument.

    The spec says how much of it: ``context: 16`` on a conditioner declares vectors ``[B, 16]``, or images
    ``[B, 16, H, W]`` where it is convolutional.
    """

    context: int
    """How many numbers, or channels, of context it takes; 0 where it takes none."""


class Solves(ABC):
    """Part that solves an equation in steps, whose error affects the model's scores.

    Scored once more within `refined`, it shows by how much. A likelihood counts as exact where that is little.
    """

    @abstractmethod
    def refined(self) -> AbstractContextManager[None]:
        """Within this block the part solves more finely, as by steps of half the size."""


class AfterStep(ABC):
    """A part of a model, at any depth, that acts once after each training step: a controller."""

    @abstractmethod
    def after_step(self, clock: Clock) -> None:
        """Called outside of any graph, after the optimizer."""


class DataDependent(ABC):
    """A part whose parameters start from the first batch, at any depth of a model.

    Training runs the model once on that batch before step 0 and calls `initialize` with the arguments of each such
    part's ``forward`` just before it. That is the only caller: a model that was loaded or resumed is never
    initialised again, and no flag has to remember it.
    """

    @abstractmethod
    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set the parameters from the part's own input."""


class BatchStatistics:
    """A part whose training compares the examples of a batch: by their variance, covariance or density.

    A batch with fewer than ``least_batch`` examples gives no such statistics, and a spec with one is refused when it is
    built. What a part takes over the places of each example alone is none.
    """

    least_batch: int = 2
    """The fewest examples of a batch that it can be trained on."""


class RunningStatistics(ABC):
    """A part that averages statistics over training batches and uses the averages in evaluation.

    Averages that were collected under other weights are a trap: before every evaluation and export the evaluated
    weights' own are collected anew, by `reset` and a pass over training data in training mode.
    """

    @abstractmethod
    def reset(self) -> None:
        """Forget the averages; the next batches count equally."""


class TrainingState:
    """A module, at any depth of a model, with tensors that training carries from step to step and no use of the model
    needs: a replay buffer, a queue of negatives, the centre of a teacher's outputs.

    Training saves these tensors in each checkpoint and restores them to the last bit. They are not in the share file,
    and a model that was opened from one does not have them: there such a buffer is None. What scoring or drawing needs
    is a persistent buffer instead. Several processes have such tensors of their own each, which start alike.

    >>> class Replay(torch.nn.Module, TrainingState):
    ...     chains: Tensor
    ...     def __init__(self) -> None:
    ...         super().__init__()
    ...         self.register_training_state("chains", lambda: torch.zeros(1000, 2))
    >>> replay = Replay()
    >>> replay.chains.shape, list(replay.state_dict())
    (torch.Size([1000, 2]), [])
    """

    def register_training_state(self, name: str, make: Callable[[], Tensor]) -> None:
        """Add what ``make`` returns as a buffer of this name. Its shape and dtype must stay the same in training."""
        if not isinstance(self, torch.nn.Module):
            raise TypeError(f"{type(self).__name__} has training state and must be a torch.nn.Module")
        self.register_buffer(name, None if _opening.get() else make(), persistent=False)
        self.__dict__.setdefault("_training_state", []).append(name)


_opening: ContextVar[bool] = ContextVar("opening", default=False)


@contextmanager
def without_training_state() -> Iterator[None]:
    """Within this block models are built to be used, not to be trained: memory for training state is not taken."""
    token = _opening.set(True)
    try:
        yield
    finally:
        _opening.reset(token)


def training_state(model: torch.nn.Module) -> dict[str, Tensor]:
    """The training state of a model, by the names that its buffers have in it."""
    found = {}
    for path, part in model.named_modules():
        for name in vars(part).get("_training_state", ()) if isinstance(part, TrainingState) else ():
            if (x := getattr(part, name)) is not None:
                found[f"{path}.{name}" if path else name] = x
    return found
