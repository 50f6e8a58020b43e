"""Guidance by other models, each a share file: a worse model of the same data, or a classifier."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from pydantic import NonNegativeFloat, NonNegativeInt
from torch import Tensor

from zoo import Condition, Model, Predicts, UsageError, component, load

from ..diffusion import Diffusion
from ..paths.base import Level
from ..targets import Prediction
from .labels import Evaluate, Given, Guidance, between


class GuidanceByFile(Guidance):
    """Base of guidance by the model of a share file, which is read when a sampler is built.

    Args:
        file: The share file, a run, or the name of a spec with trained weights.
    """

    outside = True
    places = ("file",)

    def __init__(self, *, file: str) -> None:
        self.file = file

    def read(self, model: Model) -> Model:
        """The model of the file; ValueError if it is missing, or of other data than another model."""
        try:
            found = load(self.file)
        except UsageError as error:
            raise ValueError(f"guidance by '{self.file}': {error}") from None
        ours, theirs = model.event, found.event
        if (ours.shape, ours.levels) != (theirs.shape, theirs.levels):
            raise ValueError(f"'{self.file}' is of other data: '{theirs.name}' of shape {theirs.shape}")
        return found.eval().requires_grad_(False)


@component("autoguidance", example={"file": "worse.safetensors"})
class Autoguidance(GuidanceByFile):
    r"""Autoguidance: extrapolation from a worse model of the same data, such as a smaller one or one trained less.

    .. math:: F = F_{\mathrm{worse}}(x) + w\, \bigl(F(x) - F_{\mathrm{worse}}(x)\bigr)

    for the predicted data and noise F, each model with the labels of the draws. A scale of 1 is the model itself and 0
    the worse one. The two may differ in network, target and path: noisy data is scaled to the same log-SNR.

    ValueError for a file with another kind of model or other data, and one with other conditions.

    Args:
        scale: The factor :math:`w`.

    References: Karras et al., Guiding a Diffusion Model with a Bad Version of Itself, 2024, arXiv:2406.02507, eq. 4.
    """

    def __init__(self, *, file: str, scale: NonNegativeFloat = 2.0) -> None:
        super().__init__(file=file)
        self.scale = scale
        self.worse: Callable[[Tensor, Level, Given], Prediction] | None = None

    def fit(self, model: Model, labels: bool) -> None:
        worse = self.read(model)
        if not isinstance(worse, Diffusion):
            raise ValueError(f"autoguidance needs a diffusion model, but '{self.file}' has another")
        if worse.conditions != model.conditions:
            ours, theirs = list(model.conditions), list(worse.conditions)
            raise ValueError(f"'{self.file}' must be conditioned on {ours} as the model is, got {theirs}")
        self.worse = Worse(worse)

    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, given: Given) -> Prediction:
        if self.scale == 1.0 or self.worse is None:
            return evaluate(x, given.context)
        worse = self.worse(x, level, given)
        return worse if self.scale == 0.0 else between(worse, evaluate(x, given.context), self.scale)


class Worse:
    """Predictions of the worse model, at the log-SNR of the better one."""

    def __init__(self, model: Diffusion) -> None:
        self.model = model

    def __call__(self, x: Tensor, level: Level, given: Given) -> Prediction:
        model, path = self.model.to(x), self.model.path
        t = path.end
        if level.alpha > 0.0:
            t = path.time_at(2.0 * math.log(float(level.alpha / level.sigma)))
            t = min(max(t, path.start), path.end)
        predict = model.predictor(model.condition(given.entries), entries=given.entries)
        return predict(path.level(t).sigma / level.sigma * x, t)


@component("classifier", example={"file": "classifier.safetensors"})
class ClassifierGuidance(GuidanceByFile):
    r"""Classifier guidance: noise is changed by the gradient of a classifier of the predicted data.

    .. math:: \hat\epsilon \leftarrow \hat\epsilon - w\, \sigma\, \nabla_{x_t} \log p(y \mid \hat x_0(x_t))

    The classifier is one of data without noise, so that any share file with a classifier of it will do; the gradient
    goes through the diffusion model, which takes about three evaluations a step. Where the published one classifies
    :math:`x_t` itself, this takes :math:`p(y \mid x_t)` to be that of the mean of the data. A scale of 0 is the model
    itself.

    ValueError for a file without a classifier, or of other data, and for a class that it does not have.

    Args:
        scale: The factor :math:`w`.
        label: The class of all draws; ``null`` for the label of each, of a model that is conditioned on it.

    References: Dhariwal and Nichol, Diffusion Models Beat GANs on Image Synthesis, 2021, arXiv:2105.05233, alg. 2; of
    the predicted data: Bansal et al., Universal Guidance for Diffusion Models, 2023, arXiv:2302.07121, eq. 6.
    """

    def __init__(self, *, file: str, scale: NonNegativeFloat = 1.0, label: NonNegativeInt | None = None) -> None:
        super().__init__(file=file)
        self.scale, self.label = scale, label
        self.log_prob: Callable[[Tensor, Tensor], Tensor] | None = None

    def fit(self, model: Model, labels: bool) -> None:
        classifier = self.read(model)
        if not isinstance(classifier, Predicts) or classifier.conditions:
            raise ValueError(f"classifier guidance needs a model that classifies data, but '{self.file}' does not")
        classes = classifier.event.classes or 0
        if self.label is None and "label" not in model.conditions:
            raise ValueError("classifier guidance needs a 'label': the model is not conditioned on one")
        if max(self.label or 0, (model.event.classes or 1) - 1 if self.label is None else 0) >= classes:
            raise ValueError(f"'{self.file}' has the classes 0 to {classes - 1}, got label {self.label}")
        self.log_prob = Classes(classifier)

    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, given: Given) -> Prediction:
        if self.scale == 0.0 or self.log_prob is None or level.alpha == 0.0:
            return evaluate(x, given.context)
        with torch.enable_grad():
            noisy = x.detach().requires_grad_()
            found = evaluate(noisy, given.context)
            log_p = self.log_prob(found.data, self._labels(x, given.entries))
            (slope,) = torch.autograd.grad(log_p.sum(), noisy)
        noise = found.noise.detach() - self.scale * level.sigma * slope
        return Prediction((x - level.sigma * noise) / level.alpha, noise)

    def _labels(self, x: Tensor, entries: Condition | None) -> Tensor:
        if self.label is None and entries is not None:
            return entries["label"].long()
        return torch.full((len(x),), self.label or 0, dtype=torch.int64, device=x.device)


class Classes:
    r""":math:`\log p(y \mid x)` of data on the scale of a diffusion network, with gradients, ``[B]``."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, x: Tensor, labels: Tensor) -> Tensor:
        event, model = self.model.event, self.model.to(x)
        data = x if event.levels is None else event.of_unit((0.5 * x + 0.5).clamp(0.0, 1.0))
        log_p: Tensor = model.predict(data).log_softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1)
        return log_p
