"""Laws of couplings: each noise is used once, and stays with its label."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.testing import Laws, require

from ..couplings import Coupling

LABELS = torch.tensor([0, 1, 2, 1, 0, 1, 0, 2, 1, 1])


def _given(n: int = len(LABELS)) -> tuple[Tensor, Tensor]:
    """Data whose place says its label, and noise."""
    generator = torch.Generator().manual_seed(0)
    data, noise = (torch.randn(n, 1, 3, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    return data + 3.0 * LABELS[:n].reshape(-1, 1, 1, 1), noise


def _sorted(noise: Tensor) -> Tensor:
    rows = noise.flatten(1)
    return rows[rows[:, 0].argsort()]


def each_noise_is_used_once(coupling: Coupling) -> None:
    """The noise of a batch comes back in another order, none of it twice."""
    for labels in (None, LABELS):
        data, noise = _given()
        found = coupling(data, noise, labels)
        require(found.shape == noise.shape and found.dtype == noise.dtype, f"expected noise like {noise.shape}")
        require(torch.equal(_sorted(found), _sorted(noise)), "some noise is used twice, or not at all")


def noise_stays_with_its_label(coupling: Coupling) -> None:
    """With labels, each class has the noise that it had: its distribution given the label is standard normal."""
    data, noise = _given()
    found = coupling(data, noise, LABELS)
    for label in (0, 1, 2):
        mine = label == LABELS
        require(torch.equal(_sorted(found[mine]), _sorted(noise[mine])), "the noise of a label became another's")


def one_example_has_its_noise(coupling: Coupling) -> None:
    """A batch of one example, and of one of each class, is left as it is."""
    data, noise = _given(3)
    require(torch.equal(coupling(data[:1], noise[:1], None), noise[:1]), "a single example lost its noise")
    require(torch.equal(coupling(data, noise, LABELS[:3]), noise), "the only example of a class lost its noise")


def independence_is_what_was_declared(coupling: Coupling) -> None:
    """One that is declared to be independent does not depend on the data."""
    data, noise = _given()
    same = torch.equal(coupling(data, noise, None), coupling(data.flip(0), noise, None))
    require(same or not coupling.independent, "the noise depends on the data: do not declare it independent")


LAWS = Laws.of(
    each_noise_is_used_once,
    noise_stays_with_its_label,
    one_example_has_its_noise,
    independence_is_what_was_declared,
    given=[()],
)
