"""The kinds of component: what a plugin author implements."""

from .augmentation import Augmentation
from .bijection import Bijection
from .capabilities import AfterStep, DataDependent, Decodes, RunningStatistics, Samples, Scores, TakesContext
from .component import Component, Contract, component
from .conditioner import Conditioner
from .contracts import misshapen, sum_event, wrong_context
from .dataset import Dataset, Examples, InMemory
from .distribution import Distribution
from .energy import Energy
from .mask import Mask
from .metric import Measurement, Metric
from .model import Batch, Clock, Model, Player, Terms
from .optimizer import Optimizer, ParameterGroup, Schedule
from .sink import Sink
from .view import View

__all__ = [
    "AfterStep", "Augmentation", "Batch", "Bijection", "Clock", "Component", "Conditioner", "Contract", "DataDependent",
    "Dataset", "Decodes", "Distribution", "Energy", "Examples", "InMemory", "Mask", "Measurement", "Metric", "Model",
    "Optimizer", "ParameterGroup", "Player",
    "RunningStatistics", "Samples", "Schedule", "Scores", "Sink", "TakesContext", "Terms", "View",
    "component", "misshapen", "sum_event", "wrong_context",
]  # fmt: skip
