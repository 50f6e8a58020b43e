"""The laws of each kind, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ...interfaces.bijection import Bijection
from ...interfaces.causal import Causal
from ...interfaces.dataset import Dataset
from ...interfaces.distribution import Distribution
from ...interfaces.energy import Energy
from ...interfaces.likelihood import Likelihood
from ...interfaces.mask import Mask
from ...interfaces.model import Model
from ...interfaces.networks import Conditioner, Decoder, Encoder
from ...interfaces.view import View
from ...interfaces.weighting import Weighting
from ...registry.part import Part
from . import component, conditioner, dataset, distribution, encoder, energy, mask, model, view, weighting
from .bijection import contract, maths
from .causal import data, draws, numbers, order
from .likelihood import numerics, probabilities, samples, state

BijectionLaw = Callable[[Bijection, Tensor], None]


def _by_name(*laws: Callable[..., None]) -> dict[str, Callable[..., None]]:
    return {law.__name__: law for law in laws}


COMPONENT_LAWS: Mapping[str, Callable[[Part[Any]], None]] = _by_name(
    component.says_what_it_is,
    component.declaration_survives,
    component.has_a_schema,
)
"""Each takes the declaration of a component of any kind."""

BIJECTION_LAWS: Mapping[str, BijectionLaw] = _by_name(
    maths.log_det_is_jacobian,
    maths.inverse_inverts,
    maths.decode_is_inverse,
    maths.float32_is_enough,
    contract.samples_are_independent,
    maths.gradients_are_right,
    contract.state_is_complete,
    contract.forward_keeps_state,
    contract.reset_forgets,
    contract.starts_at_any_scale,
    contract.dtype_follows,
    contract.log_det_survives_autocast,
    contract.stays_finite,
    contract.nothing_beyond_the_domain,
    contract.runs_on_meta,
    contract.compiles,
)
"""Each takes a bijection, as `liven` leaves it, and float64 events of its domain, as `inputs` draws them."""

DISTRIBUTION_LAWS: Mapping[str, Callable[[Distribution], None]] = _by_name(
    distribution.density_normalises,
    distribution.nothing_beyond_the_support,
    distribution.draws_have_shape,
    distribution.draws_obey_stein,
    distribution.draws_match_density,
    distribution.draws_match_jointly,
    distribution.temperature_scales,
)
"""Each takes a distribution in float64."""

ENERGY_LAWS: Mapping[str, Callable[[Energy], None]] = _by_name(
    energy.answers_each_sample_alone,
    energy.gradient_is_that_of_the_energy,
    energy.grows_far_out,
    energy.extent_has_all_of_the_mass,
    energy.dtype_follows,
)
"""Each takes an energy in float64 and evaluation mode."""

MASK_LAWS: Mapping[str, Callable[[Mask], None]] = _by_name(
    mask.pieces_partition,
    mask.merge_inverts_split,
    mask.shows_what_is_kept,
    mask.answers_for_what_is_changed,
    mask.shown_and_answered_places_agree,
)
"""Each takes a mask."""

CONDITIONER_LAWS: Mapping[str, Callable[[Conditioner], None]] = _by_name(
    conditioner.starts_at_zero,
    conditioner.learns_from_zero,
    conditioner.answers_each_sample_alone,
    conditioner.compiles,
)
"""Each takes a new conditioner."""

WEIGHTING_LAWS: Mapping[str, Callable[[Weighting], None]] = _by_name(
    weighting.terms_have_effect,
    weighting.parameters_learn,
    weighting.loss_is_finite,
    weighting.weights_are_figures,
    weighting.terms_are_left_alone,
    weighting.order_is_free,
    weighting.dtype_follows,
    weighting.compiles,
    weighting.evaluation_keeps_state,
    weighting.forward_waits_for_the_step,
    weighting.acts_once_a_step,
    weighting.state_resumes,
    weighting.waits_for_no_value,
)
"""Each takes a new weighting in float64."""

LIKELIHOOD_LAWS: Mapping[str, Callable[[Likelihood], None]] = _by_name(
    probabilities.scores_each_sample_alone,
    probabilities.probabilities_normalise,
    probabilities.mean_is_expectation,
    probabilities.bound_is_kept,
    samples.draws_are_data,
    samples.draws_follow,
    samples.temperature_scales_noise,
    numerics.stays_finite,
    numerics.float32_is_enough,
    numerics.dtype_follows,
    numerics.compiles,
    state.state_is_complete,
    state.scoring_keeps_state,
    state.reset_forgets,
)
"""Each takes a likelihood in float64 and evaluation mode."""

ENCODER_LAWS: Mapping[str, Callable[[Encoder], None]] = _by_name(
    encoder.codes_each_sample_alone,
    encoder.sees_all_of_its_input,
    encoder.gradients_reach_all,
    encoder.dtype_follows,
    encoder.compiles,
)
"""Each takes a new encoder."""

DATASET_LAWS: Mapping[str, Callable[[Dataset], None]] = _by_name(
    dataset.examples_are_as_described,
    dataset.reading_is_a_function,
    dataset.splits_are_disjoint,
    dataset.fingerprint_tells,
    dataset.examples_lie_on_the_cpu,
)
"""Each takes a dataset whose data is here."""

MODEL_LAWS: Mapping[str, Callable[[Model], None]] = _by_name(
    model.objective_is_a_number,
    model.learns,
    model.draws_are_data,
    model.scores_each_example_alone,
    model.scoring_and_drawing_keep_state,
    model.comes_back,
)
"""Each takes a new model."""

VIEW_LAWS: Mapping[str, Callable[[View], None]] = _by_name(
    view.picture_is_rgb,
    view.picture_is_near_a_square,
)
"""Each takes a view of a model that is not trained."""

DECODER_LAWS: Mapping[str, Callable[[Decoder], None]] = dict(ENCODER_LAWS)  # type: ignore[arg-type]
"""Each takes a new decoder: the laws are those of encoders."""

CAUSAL_LAWS: Mapping[str, Callable[[Causal], None]] = _by_name(
    order.nothing_leaks,
    order.past_is_seen,
    numbers.log_prob_is_sum_of_conditionals,
    numbers.normalises,
    numbers.answers_each_example_alone,
    numbers.depends_on_its_context,
    draws.draws_agree,
    draws.draws_follow,
    draws.temperature_has_effect,
    numbers.dtype_follows,
    numbers.runs_on_meta,
    numbers.compiles,
)
"""Each takes a causal model as `liven_model` leaves it, or a causal part of such a model."""

COUNTED_LAWS = ("normalises", "draws_follow")
"""Those of them that see most where there is so little data that all of it can be counted."""


def applying_to_causal(model: Causal) -> Mapping[str, Callable[[Causal], None]]:
    """The laws that apply to this case: none if its context is not described by an event."""
    if not data.context_is_known(model):
        return {}
    silent = set() if data.context_for(model, 1) is not None else {"depends_on_its_context"}
    silent |= set() if data.all_data(model) is not None else {"draws_follow"}
    return {name: law for name, law in CAUSAL_LAWS.items() if name not in silent}
