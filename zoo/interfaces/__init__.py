"""Kinds of component: what a plugin author implements."""

from .augmentation import Augmentation
from .bijection import Bijection
from .boundary import Known
from .capabilities import (
    AfterStep,
    BatchStatistics,
    Completes,
    DataDependent,
    Decodes,
    Encodes,
    NormalMoments,
    Predicts,
    Quantizes,
    Reconstructs,
    RunningStatistics,
    Samples,
    SamplesEntries,
    SamplesMeans,
    Scores,
    Solves,
    TakesContext,
    Traces,
    TrainingState,
    Unnormalised,
    VariationalBound,
    Varies,
    unseen_share,
)
from .causal import Causal
from .component import Component, Contract, component
from .contracts import misshapen, sum_event, wrong_context
from .dataset import Dataset, Examples, InMemory
from .distribution import Distribution
from .energy import Energy
from .likelihood import Likelihood
from .mask import Mask
from .metric import Measurement, Metric, computed_once, encoded
from .model import Batch, Clock, Condition, Model, Player, Terms, map_condition
from .networks import Conditioner, Decoder, Encoder
from .optimizer import Optimizer, ParameterGroup, Schedule
from .sampler import Sampler
from .sink import Sink
from .view import View
from .weighting import LatentTerms, Weighting

__all__ = [
    "AfterStep", "Augmentation", "Batch", "BatchStatistics", "Bijection", "Causal", "Clock", "Completes", "Component",
    "Condition", "Conditioner", "Contract", "DataDependent", "Dataset", "Decoder", "Decodes", "Distribution", "Encoder",
    "Encodes", "Energy", "Examples", "InMemory", "Known", "LatentTerms", "Likelihood", "Mask", "Measurement", "Metric",
    "Model", "NormalMoments", "Optimizer", "ParameterGroup", "Player", "Predicts", "Quantizes", "Reconstructs",
    "RunningStatistics", "Sampler", "Samples", "SamplesEntries", "SamplesMeans", "Schedule", "Scores", "Sink", "Solves",
    "TakesContext", "Terms", "Traces", "TrainingState", "Unnormalised", "VariationalBound", "Varies", "View",
    "Weighting", "component",
    "computed_once", "encoded", "map_condition", "misshapen", "sum_event", "unseen_share", "wrong_context",
]  # fmt: skip
