"""Laws for the capabilities of a spec's model: in float64, on small data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..assembly.build import event_of
from ..document.diagnostics import described
from ..errors import Problem, SpecError
from ..event import Event
from ..interfaces import Causal, Model
from ..registry.part import Part
from ..spec import Spec
from . import COUNTED_LAWS, Case, LawBroken, applying_to_causal, countable, liven_model, parts_of, shrunk

Law = Callable[[Any], None]


class Suite(NamedTuple):
    """Laws of a capability: those that apply to a module that has it, and which of them ask for data to be counted."""

    applying: Callable[[Any], Mapping[str, Law]]
    counted: tuple[str, ...] = ()


SUITES: Mapping[type, Suite] = {
    Causal: Suite(applying_to_causal, COUNTED_LAWS),
}
"""The laws of what models, and parts of them, can do: by capability."""


@dataclass(frozen=True)
class Verdict:
    """Result of one law: it holds, or the problem that it found."""

    law: str
    problem: Problem | None = None

    @property
    def word(self) -> str:
        return "kept" if self.problem is None else "broken"

    @property
    def message(self) -> str:
        return "kept" if self.problem is None else self.problem.message


def judge(spec: Spec) -> list[Verdict]:
    """Each law that applies to the capabilities of the spec's model, in the order of the suites.

    The law's name has the part's path in front where a part of the model obeys it, and not the model itself.
    """
    event = event_of(spec)
    found: dict[str, Verdict] = {}
    for case, counted in _cases(spec, event):
        model = liven_model(case.build(spec.train.seed))
        for capability, suite in SUITES.items():
            for path, part in parts_of(model, capability).items():
                laws = suite.applying(part)
                asked = {name: law for name, law in laws.items() if not counted or name in suite.counted}
                _hold(path, part, asked, spec.model, found)
    return list(found.values())


def _cases(spec: Spec, event: Event) -> Iterator[tuple[Case, bool]]:
    """The model on little data, and, where a suite counts, on data so little that it can be counted."""
    small = shrunk(spec.name, spec.model, event)
    able = [suite for of, suite in SUITES.items() if parts_of(small.build(), of)]
    if able:
        yield small, False
    if any(suite.counted for suite in able):
        yield from ((case, True) for case in countable(spec.name, spec.model, event))


def _hold(path: str, part: Any, laws: Mapping[str, Law], model: Part[Model], found: dict[str, Verdict]) -> None:
    for name, law in laws.items():
        label = f"{path}.{name}" if path else name
        if label not in found or found[label].problem is None:
            found[label] = Verdict(label, _broken(name, law, part, getattr(part, "declaration", None) or model))


def _broken(name: str, law: Law, part: Any, declared: Part[Any]) -> Problem | None:
    try:
        law(part)
    except LawBroken as broken:
        return (broken.blamed or declared).problem(f"breaks the law {name}: {broken}")
    except SpecError:
        raise
    except Exception as error:
        return declared.problem(f"fails under the law {name}: {described(error)}")
    return None
