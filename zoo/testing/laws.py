"""The laws of each kind, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from ..interfaces.bijection import Bijection
from ..interfaces.conditioner import Conditioner
from ..interfaces.distribution import Distribution
from ..interfaces.mask import Mask
from . import (
    batches,
    compilation,
    conditioning,
    density,
    drawing,
    extremes,
    gradients,
    inversion,
    jacobian,
    meta,
    partition,
    precision,
    saving,
    statistics,
)

BijectionLaw = Callable[[Bijection, Tensor], None]


def _by_name(*laws: Callable[..., None]) -> dict[str, Callable[..., None]]:
    return {law.__name__: law for law in laws}


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
    precision.dtype_follows,
    precision.log_det_survives_autocast,
    extremes.stays_finite,
    meta.runs_on_meta,
    compilation.compiles,
)
"""Each takes a bijection, as `liven` leaves it, and float64 events of its domain, as `inputs` draws them."""

DISTRIBUTION_LAWS: Mapping[str, Callable[[Distribution], None]] = _by_name(
    density.density_normalises,
    drawing.draws_have_shape,
    drawing.draws_obey_stein,
    drawing.draws_match_density,
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
