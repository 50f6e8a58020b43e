"""Codes and factors of held-out examples."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from zoo import Batch, DataError, Encodes, Model

from .common import Codes, Factors


def encodes(model: Model) -> Encodes:
    """The model as one that encodes data with known factors; ValueError if it does not."""
    if not isinstance(model, Encodes):
        raise ValueError(f"the model {type(model).__name__} does not encode")
    if model.event.factors is None:
        raise ValueError(f"the factors that '{model.event.name}' is made from are unknown: choose data that has them")
    return model


@torch.no_grad()
def coded(model: Model, batches: Iterable[Batch], most: int, rng: np.random.Generator) -> tuple[Codes, Factors]:
    """Codes ``[N, L]`` and factors ``[N, F]`` of at most ``most`` examples, chosen and ordered at random.

    Each example draws a number, and those with the smallest are chosen: the choice does not depend on the batches, and
    few of the other examples are encoded. Raises `zoo.DataError` if there are no examples, or a code is not finite.
    """
    encoder = encodes(model)
    kept: list[tuple[Codes, Factors, Codes]] = []
    worst = np.inf
    for batch in batches:
        lots = rng.random(batch["factors"].shape[0])
        rows = np.flatnonzero(lots < worst)
        if not len(rows):
            continue
        some = {name: value[torch.from_numpy(rows).to(value.device)] for name, value in batch.items()}
        found = encoder.encode(some[model.event.name], model.given(some)).flatten(1)
        kept.append((found.cpu().double().numpy(), some["factors"].cpu().numpy(), lots[rows]))
        kept = [_smallest(kept, most)]
        if len(kept[0][2]) == most:
            worst = kept[0][2][-1]
    if not kept:
        raise DataError("no examples to measure on")
    codes, factors, _ = kept[0]
    if not np.isfinite(codes).all():
        raise DataError("the model's codes are not finite: they cannot be scored")
    return codes, factors


def _smallest(parts: list[tuple[Codes, Factors, Codes]], most: int) -> tuple[Codes, Factors, Codes]:
    codes, factors, lots = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(lots)[:most]
    return codes[order], factors[order], lots[order]
