"""Every component of a kind that a plugin brings obeys the laws that the kind brings."""

from __future__ import annotations

import pytest

from zoo.registry.registry import installed
from zoo.testing import Case, cases, laws_of_kind
from zoo.testing.check import KINDS

OWN = {label: laws for label, kind in installed().kinds().items() if kind not in KINDS and (laws := laws_of_kind(kind))}
HELD = [
    pytest.param(label, case, law, id=f"{label}-{case}-{law}")
    for label, laws in OWN.items()
    for case in cases(installed().kinds()[label])
    for law in laws.by_name
]


@pytest.mark.parametrize(("kind", "case", "law"), HELD)
def test_law(kind: str, case: Case, law: str) -> None:
    OWN[kind].hold(case.build(), OWN[kind].by_name[law])


def test_these_kinds_have_laws() -> None:
    """A kind cannot lose its laws unseen."""
    kinds = {
        "adversarial",
        "context",
        "dequantization",
        "discriminator_head",
        "head",
        "log_det",
        "ode_solver",
        "penalty",
    }
    kinds |= {"joint_augmentation", "posterior", "quantizer", "transformer"}
    assert kinds <= set(OWN)
