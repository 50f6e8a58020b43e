"""Likelihoods of out-of-distribution data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import Batch, Dataset, Measurement, Metric, Model, Part, component, counted

from .likelihood import log_likelihoods, scores


@component(
    "ood", example={"data": {"type": "toy2d", "figure": "rings", "size": 64, "test_size": 32}}, added={"batch": 500}
)
class OutOfDistribution(Metric):
    r"""Out-of-distribution test by the likelihood: the probability that held-out examples are likelier than other data.

    .. math:: \mathrm{ood} = P(\log p(x) > \log p(y)), \qquad x \sim \text{held-out}, \quad y \sim \text{other}

    over all pairs, ties counted half: the area under the ROC curve of a test by the likelihood. It is one if the model
    separates them, and a half if it cannot; below a half the other data is likelier than its own, as for flows of
    images. ``ood_nll`` is the mean of :math:`-\log p(y)` in nats, to compare with ``nll``. The test split of the other
    data is used.

    Raises ValueError for a model without a likelihood and for data of another form.

    Args:
        data: The other data.
        draws: The number of evaluations of each example that are averaged, for a model that bounds or estimates its
            likelihood.
        batch: The number of examples of the other data that are scored at a time.

    References: Nalisnick et al., Do deep generative models know what they don't know?, 2019, arXiv:1810.09136.
    """

    def __init__(self, *, data: Part[Dataset], draws: PositiveInt = 1, batch: PositiveInt = 500) -> None:
        self.data = data
        self.draws = draws
        self.batch = batch

    def check(self, model: Model) -> None:
        scores(model)
        ours, theirs = model.event, self.data().event
        if different := [field for field in ours.differences(theirs) if field not in ("name", "columns")]:
            same = ", ".join(different)
            raise ValueError(f"the model has {ours}, '{self.data.name}' has {theirs}: choose data of the same {same}")
        if model.conditions:
            raise ValueError(
                f"the model is conditioned on its {' and '.join(model.conditions)}, which other data does not have"
            )

    def check_data(self, batches: Iterable[Batch]) -> None:
        if not len(self.data().split("test")):
            raise ValueError(f"the test split of '{self.data.name}' has no examples")

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"ood": "max", "ood_nll": "max", "nll": "min"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        ours = log_likelihoods(model, batches, self.draws)
        theirs = log_likelihoods(model, self._batches(model, next(model.buffers(), torch.zeros(()))), self.draws)
        return {
            "ood": Measurement(_share_above(ours.nats, theirs.nats), len(theirs.nats), theirs.kind),
            "ood_nll": theirs.mean(-theirs.nats),
            "nll": ours.mean(-ours.nats),
            **ours.details("nll"),
            **theirs.details("ood_nll"),
        }

    def _batches(self, model: Model, like: Tensor) -> Iterator[Batch]:
        dataset = self.data()
        examples, name = dataset.split("test"), dataset.event.name
        for indices in counted(rows := torch.split(torch.arange(len(examples)), self.batch), len(rows)):
            kept = {entry: x.to(like.device) for entry, x in examples.read(indices).items()}
            yield {model.event.name: examples.render(kept)[name]}


def _share_above(ours: Tensor, theirs: Tensor) -> float:
    """The share of pairs in which ours is larger, ties counted half."""
    ordered = theirs.sort().values
    below = torch.searchsorted(ordered, ours, right=False) + torch.searchsorted(ordered, ours, right=True)
    return below.double().mean().item() / (2 * len(theirs))
