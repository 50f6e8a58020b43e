"""The laws of each kind, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ..interfaces.bijection import Bijection
from ..interfaces.causal import Causal
from ..interfaces.conditioner import Conditioner
from ..interfaces.dataset import Dataset
from ..interfaces.decoder import Decoder
from ..interfaces.distribution import Distribution
from ..interfaces.encoder import Encoder
from ..interfaces.likelihood import Likelihood
from ..interfaces.mask import Mask
from ..interfaces.model import Model
from ..interfaces.weighting import Weighting
from ..part import Part
from . import (
    batches,
    causal_data,
    causal_draws,
    causal_numbers,
    causality,
    coding,
    compilation,
    conditioning,
    controlling,
    datasets,
    declaring,
    density,
    drawing,
    extremes,
    gradients,
    inversion,
    jacobian,
    likelihood_draws,
    likelihood_numbers,
    likelihood_state,
    likelihoods,
    meta,
    models,
    partition,
    precision,
    saving,
    statistics,
    weightings,
)

BijectionLaw = Callable[[Bijection, Tensor], None]


def _by_name(*laws: Callable[..., None]) -> dict[str, Callable[..., None]]:
    return {law.__name__: law for law in laws}


COMPONENT_LAWS: Mapping[str, Callable[[Part[Any]], None]] = _by_name(
    declaring.says_what_it_is,
    declaring.declaration_survives,
    declaring.has_a_schema,
)
"""Each takes the declaration of a component of any kind."""

BIJECTION_LAWS: Mapping[str, BijectionLaw] = _by_name(
    jacobian.log_det_is_jacobian,
    inversion.inverse_inverts,
    inversion.decode_is_inverse,
    inversion.float32_is_enough,
    batches.samples_are_independent,
    gradients.gradients_are_right,
    saving.state_is_complete,
    statistics.forward_keeps_state,
    statistics.reset_forgets,
    statistics.starts_at_any_scale,
    precision.dtype_follows,
    precision.log_det_survives_autocast,
    extremes.stays_finite,
    extremes.nothing_beyond_the_domain,
    meta.runs_on_meta,
    compilation.compiles,
)
"""Each takes a bijection, as `liven` leaves it, and float64 events of its domain, as `inputs` draws them."""

DISTRIBUTION_LAWS: Mapping[str, Callable[[Distribution], None]] = _by_name(
    density.density_normalises,
    density.nothing_beyond_the_support,
    drawing.draws_have_shape,
    drawing.draws_obey_stein,
    drawing.draws_match_density,
    drawing.draws_match_jointly,
    drawing.temperature_scales,
)
"""Each takes a distribution in float64."""

MASK_LAWS: Mapping[str, Callable[[Mask], None]] = _by_name(
    partition.pieces_partition,
    partition.merge_inverts_split,
    partition.shows_what_is_kept,
    partition.answers_for_what_is_changed,
    partition.shown_and_answered_places_agree,
)
"""Each takes a mask."""

CONDITIONER_LAWS: Mapping[str, Callable[[Conditioner], None]] = _by_name(
    conditioning.starts_at_zero,
    conditioning.learns_from_zero,
    conditioning.answers_each_sample_alone,
    conditioning.compiles,
)
"""Each takes a new conditioner."""

WEIGHTING_LAWS: Mapping[str, Callable[[Weighting], None]] = _by_name(
    weightings.terms_are_heard,
    weightings.parameters_learn,
    weightings.loss_is_finite,
    weightings.weights_are_figures,
    weightings.terms_are_left_alone,
    weightings.order_is_free,
    weightings.dtype_follows,
    weightings.compiles,
    controlling.evaluation_keeps_state,
    controlling.forward_waits_for_the_step,
    controlling.acts_once_a_step,
    controlling.state_resumes,
    controlling.waits_for_no_value,
)
"""Each takes a new weighting in float64."""

LIKELIHOOD_LAWS: Mapping[str, Callable[[Likelihood], None]] = _by_name(
    likelihoods.scores_each_sample_alone,
    likelihoods.probabilities_normalise,
    likelihoods.mean_is_expectation,
    likelihoods.bound_is_kept,
    likelihood_draws.draws_are_data,
    likelihood_draws.draws_follow,
    likelihood_draws.temperature_scales_noise,
    likelihood_numbers.stays_finite,
    likelihood_numbers.float32_is_enough,
    likelihood_numbers.dtype_follows,
    likelihood_numbers.compiles,
    likelihood_state.state_is_complete,
    likelihood_state.scoring_keeps_state,
    likelihood_state.reset_forgets,
)
"""Each takes a likelihood in float64 and evaluation mode."""

ENCODER_LAWS: Mapping[str, Callable[[Encoder], None]] = _by_name(
    coding.codes_each_sample_alone,
    coding.sees_all_of_its_input,
    coding.gradients_reach_all,
    coding.dtype_follows,
    coding.compiles,
)
"""Each takes a new encoder."""

DATASET_LAWS: Mapping[str, Callable[[Dataset], None]] = _by_name(
    datasets.examples_are_as_described,
    datasets.reading_is_a_function,
    datasets.splits_are_disjoint,
    datasets.fingerprint_tells,
    datasets.examples_lie_on_the_cpu,
)
"""Each takes a dataset whose data is here."""

MODEL_LAWS: Mapping[str, Callable[[Model], None]] = _by_name(
    models.objective_is_a_number,
    models.learns,
    models.draws_are_data,
    models.scores_each_example_alone,
    models.scoring_and_drawing_keep_state,
    models.comes_back,
)
"""Each takes a new model."""

DECODER_LAWS: Mapping[str, Callable[[Decoder], None]] = dict(ENCODER_LAWS)  # type: ignore[arg-type]
"""Each takes a new decoder: the laws are those of encoders."""

CAUSAL_LAWS: Mapping[str, Callable[[Causal], None]] = _by_name(
    causality.nothing_leaks,
    causality.past_is_seen,
    causal_numbers.log_prob_is_sum_of_conditionals,
    causal_numbers.normalises,
    causal_numbers.answers_each_example_alone,
    causal_numbers.hears_its_context,
    causal_draws.draws_agree,
    causal_draws.draws_follow,
    causal_draws.temperature_is_heard,
    causal_numbers.dtype_follows,
    causal_numbers.runs_on_meta,
    causal_numbers.compiles,
)
"""Each takes a causal model as `liven_model` leaves it, or a causal part of such a model."""

COUNTED_LAWS = ("normalises", "draws_follow")
"""Those of them that see most where there is so little data that all of it can be counted."""


def applying_to_causal(model: Causal) -> Mapping[str, Callable[[Causal], None]]:
    """The laws that have something to say of this one: none where its context is nothing that an event describes."""
    if not causal_data.context_is_known(model):
        return {}
    silent = set() if causal_data.context_for(model, 1) is not None else {"hears_its_context"}
    silent |= set() if causal_data.all_data(model) is not None else {"draws_follow"}
    return {name: law for name, law in CAUSAL_LAWS.items() if name not in silent}
