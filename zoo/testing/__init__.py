"""Laws that every component of a kind must obey.

A law is a function that takes a component and raises `LawBroken`, saying what to change. `cases` builds every
registered component of a kind on a battery of small shapes, so that a plugin's whole test suite can be::

    CASES = [(case, law) for case in cases(zoo.Bijection) for law in BIJECTION_LAWS.values()]

    @pytest.mark.parametrize(("case", "law"), CASES)
    def test_law(case, law):
        bijection = liven(case.build())
        law(bijection, inputs(bijection, 8))
"""

from .cases import Case, cases, cases_of
from .check import Held, check_component, laws_of, laws_of_kind
from .errors import LawBroken, require
from .kind_laws import Laws, as_built, in_float64
from .laws.bijection.contract import traced
from .laws.by_kind import (
    BIJECTION_LAWS,
    CAUSAL_LAWS,
    COMPONENT_LAWS,
    CONDITIONER_LAWS,
    COUNTED_LAWS,
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
from .perturb import initialize, inputs, liven, liven_model, perturb
from .small import causal_cases, countable, parts_of, shrunk
from .spec import check_spec

__all__ = [
    "BIJECTION_LAWS", "CAUSAL_LAWS", "COMPONENT_LAWS", "CONDITIONER_LAWS", "COUNTED_LAWS", "DATASET_LAWS",
    "DECODER_LAWS", "DISTRIBUTION_LAWS", "ENCODER_LAWS", "ENERGY_LAWS", "LIKELIHOOD_LAWS", "MASK_LAWS", "MODEL_LAWS",
    "VIEW_LAWS", "WEIGHTING_LAWS", "Case", "Held", "LawBroken", "Laws", "applying_to_causal", "as_built", "cases",
    "cases_of", "causal_cases", "check_component", "check_spec", "countable", "in_float64", "initialize", "inputs",
    "laws_of", "laws_of_kind", "liven", "liven_model", "parts_of", "perturb", "require", "shrunk", "traced",
]  # fmt: skip
