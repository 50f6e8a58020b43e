"""One-hot latents."""

from __future__ import annotations

from abc import ABC

from zoo import Shape


class OneHot(ABC):  # noqa: B024
    """Posterior or prior of latents ``[N, K]``: N variables, each one of K categories as a unit vector."""


def check_variables(latent: Shape) -> None:
    """ValueError unless a latent has two sizes, variables and at least two categories.

    >>> check_variables(Shape(20, 10))
    """
    if len(latent) != 2 or latent[1] < 2:
        raise ValueError(
            f"the latent must have two sizes, variables and categories, such as latent: [20, 10], got {latent}"
        )
