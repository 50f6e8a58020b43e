"""zoo: declarative deep generative models, from one YAML file to one share file.

Everything that a plugin may rely on is named in ``__all__``. Names load when they are first used, so that ``import
zoo`` and ``zoo --help`` do not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assembly import build
    from .densities import density_picture, density_problem
    from .distribution import install_hint
    from .drawing import heat_map, image_grid, image_problem
    from .errors import DamagedFile, DataError, Diverged, PluginError, SpecError, UsageError, ZooError
    from .event import Event
    from .exporting import load
    from .hearing import advanced
    from .interfaces import (
        AfterStep,
        Augmentation,
        Batch,
        BatchStatistics,
        Bijection,
        Causal,
        Clock,
        Completes,
        Component,
        Conditioner,
        Contract,
        DataDependent,
        Dataset,
        Decoder,
        Decodes,
        Distribution,
        Encoder,
        Encodes,
        Energy,
        Examples,
        InMemory,
        Known,
        LatentTerms,
        Likelihood,
        Mask,
        Measurement,
        Metric,
        Model,
        NormalMoments,
        Optimizer,
        ParameterGroup,
        Player,
        Predicts,
        Quantizes,
        Reconstructs,
        RunningStatistics,
        Sampler,
        Samples,
        SamplesMeans,
        Schedule,
        Scores,
        Sink,
        Solves,
        TakesContext,
        Terms,
        VariationalBound,
        View,
        Weighting,
        component,
        misshapen,
        sum_event,
        unseen_share,
        wrong_context,
    )
    from .migrating import migration
    from .part import Part, named
    from .processes import mean_over_processes
    from .registry import declare
    from .rows import RowFile, row_file
    from .run import Run
    from .settings import NOT_A_SIZE, Settings
    from .shape import Shape
    from .spec import Spec, load_spec
    from .training import resume, train

__version__ = "0.1.0"
API_VERSION = 1
"""Of what plugins rely on: the names in ``__all__`` and in that of `zoo.testing`, and how specs see components.
It grows by one where something that a plugin could rely on goes or changes; what is only added leaves it as it is."""

_HOMES = {
    "assembly": ("build",),
    "errors": ("DamagedFile", "DataError", "Diverged", "PluginError", "SpecError", "UsageError", "ZooError"),
    "densities": ("density_picture", "density_problem"),
    "distribution": ("install_hint",),
    "drawing": ("heat_map", "image_grid", "image_problem"),
    "event": ("Event",),
    "exporting": ("load",),
    "hearing": ("advanced",),
    "migrating": ("migration",),
    "part": ("Part", "named"),
    "processes": ("mean_over_processes",),
    "registry": ("declare",),
    "rows": ("RowFile", "row_file"),
    "run": ("Run",),
    "settings": ("NOT_A_SIZE", "Settings"),
    "shape": ("Shape",),
    "spec": ("Spec", "load_spec"),
    "training": ("resume", "train"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
"""Where a name lives, unless among the interfaces."""

__all__ = [
    "NOT_A_SIZE", "AfterStep", "Augmentation", "Batch", "BatchStatistics", "Bijection", "Causal", "Clock", "Completes",
    "Component", "Conditioner", "Contract", "DamagedFile", "DataDependent", "DataError", "Dataset", "Decoder",
    "Decodes", "Distribution", "Diverged", "Encoder", "Encodes", "Energy", "Event", "Examples", "InMemory", "Known",
    "LatentTerms", "Likelihood", "Mask", "Measurement", "Metric", "Model", "NormalMoments", "Optimizer",
    "ParameterGroup", "Part", "Player", "PluginError", "Predicts", "Quantizes", "Reconstructs", "RowFile", "Run",
    "RunningStatistics", "Sampler", "Samples", "SamplesMeans", "Schedule", "Scores", "Settings", "Shape", "Sink",
    "Solves", "Spec", "SpecError", "TakesContext", "Terms", "UsageError", "VariationalBound", "View", "Weighting",
    "ZooError", "advanced", "build", "component", "declare", "density_picture", "density_problem", "heat_map",
    "image_grid", "image_problem", "install_hint", "load", "load_spec", "mean_over_processes", "migration", "misshapen",
    "named", "resume", "row_file", "sum_event", "train", "unseen_share", "wrong_context",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'zoo' has no attribute '{name}'")
    value = getattr(importlib.import_module(f".{_HOME_OF.get(name, 'interfaces')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
