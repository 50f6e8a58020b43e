"""A spec whose model a function makes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from torch import nn

import zoo
from zoo.errors import Problem

some_spec = cache(partial(zoo.load_spec, "realnvp-2d"))


def declared(make: Callable[[], nn.Module]) -> zoo.Spec:
    """A spec of a model that a function makes."""

    def model(event: zoo.Event) -> nn.Module:
        try:
            return make()
        except Exception as error:  # as a part does
            raise zoo.SpecError(Problem(None, "model", str(error))) from error

    return some_spec().model_copy(update={"model": model})
