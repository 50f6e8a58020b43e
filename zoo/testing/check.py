"""Checks of components by the laws of their kinds, for the tests of plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..errors import UsageError, a
from ..interfaces.bijection import Bijection
from ..interfaces.causal import Causal
from ..interfaces.component import Component, kind_name, kind_of
from ..interfaces.dataset import Dataset
from ..interfaces.distribution import Distribution
from ..interfaces.energy import Energy
from ..interfaces.likelihood import Likelihood
from ..interfaces.mask import Mask
from ..interfaces.model import Model
from ..interfaces.networks import Conditioner, Decoder, Encoder
from ..interfaces.view import View
from ..interfaces.weighting import Weighting
from ..registry.registry import installed
from .cases import BATTERIES, Case, cases_of, declared_cases
from .kind_laws import Hold, Law, Laws, in_float64, own_laws
from .laws.by_kind import (
    BIJECTION_LAWS,
    CAUSAL_LAWS,
    COMPONENT_LAWS,
    CONDITIONER_LAWS,
    DATASET_LAWS,
    DECODER_LAWS,
    DISTRIBUTION_LAWS,
    ENCODER_LAWS,
    ENERGY_LAWS,
    LIKELIHOOD_LAWS,
    MASK_LAWS,
    MODEL_LAWS,
    VIEW_LAWS,
    WEIGHTING_LAWS,
    applying_to_causal,
)
from .perturb import inputs, liven, liven_model, perturb
from .small import on_little_data


@dataclass(frozen=True)
class Held:
    """One component and one law: called, it raises `LawBroken` where the component breaks the law."""

    case: Case
    law: str
    hold: Callable[[Case], None] = field(repr=False)

    def __call__(self) -> None:
        self.hold(self.case)

    def __str__(self) -> str:
        return f"{self.case}-{self.law}"


def laws_of(plugin: str) -> list[Held]:
    """Everything that an installed plugin brings, with the laws of every component and, where its kind has laws, with
    those on a battery of small shapes; a causal model with those of causality as well.

    The whole of a plugin's tests can be::

        @pytest.mark.parametrize("law", laws_of("acme"), ids=str)
        def test_law(law):
            law()

    PluginError where the plugin is missing or broken.
    """
    registry = installed()
    registry.require(plugin)
    return [held for cls in registry.components_of(plugin) for held in _held(cls, {})]


def check_component(cls: type[Component], **examples: Mapping[str, Any]) -> None:
    """Hold a component to every law of its kind, with its own example and with others by name.

    It need not be installed: a class in a test will do. The kind may be one that a plugin brings with its laws. Raises
    `LawBroken` at the first law that it breaks; UsageError for a kind without laws, of which only `laws_of` checks what
    every component must do.

    >>> import torch, zoo
    >>> from zoo.testing import check_component
    >>> @zoo.component("halves")
    ... class Halves(zoo.Mask):
    ...     "The first half is kept, the second changed."
    ...     def __init__(self, shape: zoo.Shape) -> None:
    ...         if len(shape) != 1 or shape[0] % 2:
    ...             raise ValueError("takes vectors of even size")
    ...         super().__init__(shape, zoo.Shape(shape[0] // 2), zoo.Shape(shape[0] // 2))
    ...     @property
    ...     def seen(self): return self.kept
    ...     def asked(self, times): return self.changed.channels(times)
    ...     def split(self, x): return x.chunk(2, dim=1)
    ...     def merge(self, kept, changed): return torch.cat((kept, changed), dim=1)
    ...     def show(self, kept): return kept
    ...     def answer(self, h): return h
    >>> check_component(Halves)
    """
    kind = kind_of(cls)
    if laws_of_kind(kind) is None:
        label, known = installed().label(kind), ", ".join(kind_name(one) for one in KINDS)
        raise UsageError(
            f"no laws for {a(label)}: define a classmethod 'laws' on {kind.__module__}.{kind.__qualname__} that "
            f"returns a zoo.testing.Laws; zoo has laws for: {known}"
        )
    for held in _held(cls, examples):
        held()


def _held(cls: type[Component], examples: Mapping[str, Mapping[str, Any]]) -> Iterator[Held]:
    for case in declared_cases(cls, **examples):
        yield from (Held(case, name, partial(_hold_declaration, law)) for name, law in COMPONENT_LAWS.items())
        if issubclass(cls, Model) and issubclass(cls, Causal):
            yield from _all(Laws(CAUSAL_LAWS, hold=_if_it_applies), on_little_data(case.label, case.part))
    laws = laws_of_kind(kind_of(cls))
    if laws is not None:
        yield from _all(laws, cases_of(cls, **examples))


def _all(laws: Laws, cases: Iterable[Case]) -> Iterator[Held]:
    for case in cases:
        yield from (Held(case, name, partial(_hold, laws.hold, law)) for name, law in laws.by_name.items())


def _hold(hold: Hold, law: Law, case: Case) -> None:
    hold(case.build(), law)


def _hold_declaration(law: Law, case: Case) -> None:
    law(case.part)


def _if_it_applies(model: Any, law: Law) -> None:
    liven_model(model)
    if law in applying_to_causal(model).values():
        law(model)


def _before_and_after_training(part: Any, law: Law) -> None:
    law(part.double().eval())
    perturb(part, seed=1)
    law(part)


def _on_inputs(part: Any, law: Law) -> None:
    bijection = liven(part)
    law(bijection, inputs(bijection, 8, seed=7))


KINDS: Mapping[type[Component], Laws] = {
    Bijection: Laws(BIJECTION_LAWS, hold=_on_inputs),
    Distribution: Laws(DISTRIBUTION_LAWS, hold=_before_and_after_training),
    Energy: Laws(ENERGY_LAWS, hold=_before_and_after_training),
    Likelihood: Laws(LIKELIHOOD_LAWS, BATTERIES[Likelihood], _before_and_after_training),
    Mask: Laws(MASK_LAWS),
    Conditioner: Laws(CONDITIONER_LAWS, BATTERIES[Conditioner]),
    Weighting: Laws(WEIGHTING_LAWS, BATTERIES[Weighting], in_float64),
    Encoder: Laws(ENCODER_LAWS, BATTERIES[Encoder]),
    Decoder: Laws(DECODER_LAWS, BATTERIES[Decoder]),
    Dataset: Laws(DATASET_LAWS, BATTERIES[Dataset]),
    Model: Laws(MODEL_LAWS, BATTERIES[Model]),
    View: Laws(VIEW_LAWS, BATTERIES[View]),
}
"""The laws of the kinds of `zoo.interfaces`, which import no laws themselves."""


def laws_of_kind(kind: type[Component]) -> Laws | None:
    """The laws of a kind: those of `zoo.interfaces` have theirs in `KINDS`, a plugin's brings its own or has none."""
    return KINDS[kind] if kind in KINDS else own_laws(kind)
