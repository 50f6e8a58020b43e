"""The kinds of component: what a plugin author implements."""

from .augmentation import Augmentation
from .bijection import Bijection
from .capabilities import (
    AfterStep,
    DataDependent,
    Decodes,
    Encodes,
    NormalMoments,
    Predicts,
    Reconstructs,
    RunningStatistics,
    Samples,
    Scores,
    TakesContext,
    VariationalBound,
)
from .component import Component, Contract, component
from .conditioner import Conditioner
from .contracts import misshapen, sum_event, wrong_context
from .dataset import Dataset, Examples, InMemory
from .decoder import Decoder
from .distribution import Distribution
from .encoder import Encoder
from .energy import Energy
from .likelihood import Likelihood
from .mask import Mask
from .metric import Measurement, Metric
from .model import Batch, Clock, Model, Player, Terms
from .optimizer import Optimizer, ParameterGroup, Schedule
from .sink import Sink
from .view import View
from .weighting import LatentTerms, Weighting

__all__ = [
    "AfterStep", "Augmentation", "Batch", "Bijection", "Clock", "Component", "Conditioner", "Contract",
    "DataDependent", "Dataset", "Decoder", "Decodes", "Distribution", "Encoder", "Encodes", "Energy", "Examples",
    "InMemory", "LatentTerms", "Likelihood", "Mask", "Measurement", "Metric", "Model", "NormalMoments", "Optimizer",
    "ParameterGroup", "Player", "Predicts", "Reconstructs", "RunningStatistics", "Samples", "Schedule", "Scores",
    "Sink", "TakesContext", "Terms", "VariationalBound", "View", "Weighting", "component", "misshapen", "sum_event",
    "wrong_context",
]  # fmt: skip
