"""zoo: declarative deep generative models, from one YAML file to one share file.

Everything that a plugin may rely on is named in ``__all__``. Names load when they are first used, so that ``import
zoo`` and ``zoo --help`` do not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assembly.build import build
    from .data.row_file import RowFile, row_file
    from .distribution import install_hint
    from .engine.distributed import gather_over_processes, mean_over_processes
    from .errors import DamagedFile, DataError, Diverged, PluginError, SpecError, UsageError, ZooError
    from .event import Event
    from .format.migrations import migration
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
        Condition,
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
        SamplesEntries,
        SamplesMeans,
        Schedule,
        Scores,
        Sink,
        Solves,
        TakesContext,
        Terms,
        Traces,
        TrainingState,
        Unnormalised,
        VariationalBound,
        Varies,
        View,
        Weighting,
        component,
        computed_once,
        encoded,
        map_condition,
        misshapen,
        sum_event,
        unseen_share,
        wrong_context,
    )
    from .plot.density import density_picture, density_problem
    from .plot.images import heat_map, image_grid, image_groups, image_problem
    from .progress import advanced, counted
    from .registry.part import Part, named
    from .registry.registry import declare
    from .run.directory import Run
    from .settings import NOT_A_SIZE, Settings
    from .shape import Shape
    from .share.file import load
    from .spec import Spec, load_spec
    from .training.api import resume, train

__version__ = "0.1.0"
API_VERSION = 1
"""Of what plugins rely on: the names in ``__all__`` and in that of `zoo.testing`, and how specs see components.
It grows by one where something that a plugin could rely on goes or changes; what is only added leaves it as it is."""

_HOMES = {
    "assembly.build": ("build",),
    "errors": ("DamagedFile", "DataError", "Diverged", "PluginError", "SpecError", "UsageError", "ZooError"),
    "plot.density": ("density_picture", "density_problem"),
    "distribution": ("install_hint",),
    "plot.images": ("heat_map", "image_grid", "image_groups", "image_problem"),
    "event": ("Event",),
    "share.file": ("load",),
    "progress": ("advanced", "counted"),
    "format.migrations": ("migration",),
    "registry.part": ("Part", "named"),
    "engine.distributed": ("gather_over_processes", "mean_over_processes"),
    "registry.registry": ("declare",),
    "data.row_file": ("RowFile", "row_file"),
    "run.directory": ("Run",),
    "settings": ("NOT_A_SIZE", "Settings"),
    "shape": ("Shape",),
    "spec": ("Spec", "load_spec"),
    "training.api": ("resume", "train"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
"""Where a name lives, unless among the interfaces."""

__all__ = [
    "NOT_A_SIZE", "AfterStep", "Augmentation", "Batch", "BatchStatistics", "Bijection", "Causal", "Clock", "Completes",
    "Component", "Condition", "Conditioner", "Contract", "DamagedFile", "DataDependent", "DataError", "Dataset",
    "Decoder", "Decodes", "Distribution", "Diverged", "Encoder", "Encodes", "Energy", "Event", "Examples", "InMemory",
    "Known", "LatentTerms", "Likelihood", "Mask", "Measurement", "Metric", "Model", "NormalMoments", "Optimizer",
    "ParameterGroup", "Part", "Player", "PluginError", "Predicts", "Quantizes", "Reconstructs", "RowFile", "Run",
    "RunningStatistics", "Sampler", "Samples", "SamplesEntries", "SamplesMeans", "Schedule", "Scores", "Settings",
    "Shape", "Sink", "Solves", "Spec", "SpecError", "TakesContext", "Terms", "Traces", "TrainingState", "Unnormalised",
    "UsageError", "VariationalBound", "Varies", "View", "Weighting", "ZooError", "advanced", "build", "component",
    "computed_once", "counted", "declare", "density_picture", "density_problem", "encoded", "gather_over_processes",
    "heat_map", "image_grid", "image_groups", "image_problem", "install_hint", "load", "load_spec", "map_condition",
    "mean_over_processes", "migration", "misshapen", "named", "resume", "row_file", "sum_event", "train",
    "unseen_share", "wrong_context",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'zoo' has no attribute '{name}'")
    value = getattr(importlib.import_module(f".{_HOME_OF.get(name, 'interfaces')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
