"""The kinds of component: what a plugin author implements."""

from .augmentation import Augmentation
from .bijection import Bijection
from .capabilities import AfterStep, DataDependent, Decodes, RunningStatistics, Samples, Scores
from .component import Component, Contract, component
from .conditioner import Conditioner
from .contracts import sum_event
from .dataset import Dataset, Examples, InMemory
from .distribution import Distribution
from .mask import Mask
from .metric import Measurement, Metric
from .model import Batch, Clock, Model, Player, Terms
from .optimizer import Optimizer, ParameterGroup, Schedule
from .sink import Sink
from .view import View

__all__ = [
    "AfterStep", "Augmentation", "Batch", "Bijection", "Clock", "Component", "Conditioner", "Contract", "DataDependent",
    "Dataset", "Decodes", "Distribution", "Examples", "InMemory", "Mask", "Measurement", "Metric", "Model",
    "Optimizer", "ParameterGroup", "Player",
    "RunningStatistics", "Samples", "Schedule", "Scores", "Sink", "Terms", "View", "component", "sum_event",
]  # fmt: skip
