"""Components held to the laws of their kinds: what a plugin's own tests are made of."""

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
from ..interfaces.likelihood import Likelihood
from ..interfaces.mask import Mask
from ..interfaces.model import Model
from ..interfaces.networks import Conditioner, Decoder, Encoder
from ..interfaces.weighting import Weighting
from ..registry.registry import installed
from .cases import Case, cases_of, declared_cases
from .laws.by_kind import (
    BIJECTION_LAWS,
    CAUSAL_LAWS,
    COMPONENT_LAWS,
    CONDITIONER_LAWS,
    DATASET_LAWS,
    DECODER_LAWS,
    DISTRIBUTION_LAWS,
    ENCODER_LAWS,
    LIKELIHOOD_LAWS,
    MASK_LAWS,
    MODEL_LAWS,
    WEIGHTING_LAWS,
    applying_to_causal,
)
from .perturb import inputs, liven, liven_model, perturb
from .small import on_little_data

Law = Callable[..., None]
Ready = Callable[[Case, Law], None]
"""Makes a component ready for a law, and holds it to it."""


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

    It need not be installed: a class in a test will do. Raises `LawBroken` at the first law that it breaks; UsageError
    for a kind that has none, which only `laws_of` holds to what every component owes.

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
    if kind not in KINDS:
        known = ", ".join(kind_name(one) for one in KINDS)
        raise UsageError(f"there are no laws of {a(kind_name(kind))}; there are of: {known}")
    for held in _held(cls, examples):
        held()


def _held(cls: type[Component], examples: Mapping[str, Mapping[str, Any]]) -> Iterator[Held]:
    for case in declared_cases(cls, **examples):
        yield from _all(COMPONENT_LAWS, _the_declaration, [case])
        if issubclass(cls, Model) and issubclass(cls, Causal):
            yield from _all(CAUSAL_LAWS, _if_it_applies, on_little_data(case.label, case.part))
    if kind_of(cls) in KINDS:
        yield from _all(*KINDS[kind_of(cls)], cases_of(cls, **examples))


def _all(laws: Mapping[str, Law], ready: Ready, cases: Iterable[Case]) -> Iterator[Held]:
    for case in cases:
        yield from (Held(case, name, partial(_hold, ready, law)) for name, law in laws.items())


def _hold(ready: Ready, law: Law, case: Case) -> None:
    ready(case, law)


def _the_declaration(case: Case, law: Law) -> None:
    law(case.part)


def _if_it_applies(case: Case, law: Law) -> None:
    model: Any = liven_model(case.build())
    if law in applying_to_causal(model).values():
        law(model)


def _as_it_is(case: Case, law: Law) -> None:
    law(case.build())


def _in_float64(case: Case, law: Law) -> None:
    law(case.build().double())


def _before_and_after_training(case: Case, law: Law) -> None:
    part = case.build().double().eval()
    law(part)
    perturb(part, seed=1)
    law(part)


def _on_inputs(case: Case, law: Law) -> None:
    bijection = liven(case.build())
    law(bijection, inputs(bijection, 8, seed=7))


KINDS: Mapping[type[Component], tuple[Mapping[str, Law], Ready]] = {
    Bijection: (BIJECTION_LAWS, _on_inputs),
    Distribution: (DISTRIBUTION_LAWS, _before_and_after_training),
    Likelihood: (LIKELIHOOD_LAWS, _before_and_after_training),
    Mask: (MASK_LAWS, _as_it_is),
    Conditioner: (CONDITIONER_LAWS, _as_it_is),
    Weighting: (WEIGHTING_LAWS, _in_float64),
    Encoder: (ENCODER_LAWS, _as_it_is),
    Decoder: (DECODER_LAWS, _as_it_is),
    Dataset: (DATASET_LAWS, _as_it_is),
    Model: (MODEL_LAWS, _as_it_is),
}
"""The kinds that have laws, and how a component is made ready for them."""
