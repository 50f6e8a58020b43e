"""Specs: whole validated declarations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from ..document.nodes import Place, child_place, place_of
from ..errors import Problem, SpecError, nearest
from ..interfaces import Augmentation, Dataset, Metric, Model, Optimizer, Sampler, Schedule, Sink, View
from ..interfaces.metric import Goal
from ..registry.part import Part
from ..settings import Settings

DEVICES = "auto, cpu, cuda, cuda:N, mps"
"""The devices that ``engine.device`` and ``--device`` know."""


class Described(Settings):
    """Settings whose keys are described by the docstrings below them."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Published(Described):
    """A published figure of this model, and its source."""

    metric: str
    value: float
    source: str
    note: str = ""


class Reached(Described):
    """A figure that was measured of this spec's model, and the share file that proves it."""

    metric: str
    value: float
    standard_error: float | None = None
    n: PositiveInt | None = None
    """Number of examples, or draws, that it was measured on."""
    kind: str = "exact"
    """``exact``, a ``bound`` or an ``estimate``."""
    file: str | None = None
    """The share file that has this figure, among the weights that come with the spec; null if none comes with it."""
    protocol: str
    """How it was measured: metric, split, seed; where no file proves it, on what machine."""


class Best(Described):
    """The validation figure by which the exported weights are chosen."""

    metric: str
    """A figure that ``evaluate`` gives, or the name of a metric: its first figure."""
    goal: Goal | None = None
    """Whether lower or higher is better, if other than the metric declares."""


class PlayerTraining(Described):
    """Training of one player of a model; null means the value of ``train``, or of the model itself."""

    optimizer: Part[Optimizer] | None = None
    """Its optimizer, by default a copy of `train.optimizer`."""
    schedule: Part[Schedule] | None = None
    """Factor of its learning rate over the steps, by default `train.schedule`."""
    clip: PositiveFloat | None = None
    """Bound on the norm of its gradient, by default `train.clip`."""
    updates: PositiveInt | None = None
    """Optimizer steps in one training step, by default as the model declares."""
    every: PositiveInt | None = None
    """The player is trained only in steps that this number divides; by default as the model declares, in each."""


class Ema(Described):
    """An average of the weights of some players."""

    decay: Annotated[float, Field(gt=0, lt=1)]
    """Decay of the average."""
    players: Annotated[list[str], Field(min_length=1)] | None = None
    """Names of the players whose parameters are averaged; null for all."""


class Train(Described):
    """Settings of training; every interval is in steps."""

    steps: PositiveInt
    """Optimizer steps."""
    batch: PositiveInt
    """Batch size of each process."""
    accumulate: PositiveInt = 1
    """Batches whose gradients are averaged before each optimizer step."""
    optimizer: Part[Optimizer]
    schedule: Part[Schedule] | None = None
    """Factor of the learning rate over the steps; null for a constant rate."""
    seed: NonNegativeInt = 0
    """Seed of the initial weights, the order of the data and all other random numbers."""
    clip: PositiveFloat | None = None
    """Bound on the norm of the gradient; null for no bound."""
    players: dict[str, PlayerTraining] = {}
    """Training of single players, by name: of a GAN, `discriminator` with its own `optimizer`."""
    ema: Annotated[float, Field(gt=0, lt=1)] | Ema | None = None
    """Decay of the average of the weights that is evaluated and exported; with ``players``, of theirs only."""
    freeze: list[str] = []
    """Patterns of the names of parameters that are not trained."""
    augment: list[Part[Augmentation]] = []
    """Augmentations of each training batch, in this order."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Fraction of the train split that is held out, from its end in a fixed order."""
    validate_every: PositiveInt | None = None
    """Steps between two evaluations on the held-out part."""
    best: Best | None = None
    """The validation figure by which the exported weights are chosen; null for the last weights."""
    patience: PositiveInt | None = None
    """Stop after this many validations without a better one."""
    checkpoint_every: PositiveInt | None = 500
    """Steps between two checkpoints, besides those of the last step, the best one and a signal; null for no others."""
    log_every: PositiveInt = 50
    """Steps between two rows of metrics.jsonl."""
    sample_every: PositiveInt | None = None
    """Steps between two pictures of samples; null for none."""
    views: list[Part[View]] = []
    """Further pictures besides the samples, of held-out examples if there are some, as many as each view takes."""
    sinks: list[Part[Sink]] = []
    """Further destinations of figures and pictures, besides the run directory."""

    @property
    def average(self) -> Ema | None:
        """The average of the weights, if there is one."""
        return Ema(decay=self.ema) if isinstance(self.ema, float) else self.ema


def _a_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", name):
        raise ValueError(f"unknown device '{name}'; known: {DEVICES}")
    return name


class Engine(Described):
    """Runtime of the model. These settings change results only by rounding."""

    device: Annotated[str, AfterValidator(_a_device)] = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    """Number format of the layers; log-determinants and sums stay in fp32. `auto` is bf16 where the device computes in
    it, and fp32 elsewhere."""
    compile: Literal["auto", "on", "off"] = "auto"
    """`auto` compiles if the run is long enough to save time by it."""
    channels_last: bool = False
    """Memory layout of images with the channels last, which is faster for convolutions on a GPU."""
    tf32: bool = True
    """TensorFloat-32 on a GPU: products of float32 are rounded to 10 bits, which is faster."""
    keep_freed_memory: bool = True
    """On the CPU under glibc: reuse freed blocks instead of giving them back to the kernel at every step."""
    strategy: Literal["ddp", "fsdp2"] = "ddp"
    """How several processes share a model: each has all of it, or each holds a part of every weight, gradient and
    moment, and the weights come together layer by layer."""
    requeue: bool = False
    """Under SLURM: put the job back into the queue when it must stop; it then resumes its run."""


class Evaluate(Described):
    """Evaluation of a model. A list is short for ``metrics``, and specs are written as lists while ``batch`` is 500."""

    metrics: list[Part[Metric]] = []
    """Metrics on the held-out split."""
    batch: PositiveInt = 500
    """Batch size of metrics and of ``zoo encode``: a smaller one needs less memory. Figures of another batch size
    differ by rounding, and by the noise of random metrics."""

    @model_validator(mode="before")
    @classmethod
    def _in_full(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {"metrics": value}
        if not isinstance(value, Mapping | Evaluate):
            raise ValueError("should be a list of metrics, or a mapping with 'metrics' and 'batch'")
        return value

    @model_serializer(mode="wrap")
    def _in_short(self, handler: SerializerFunctionWrapHandler) -> Any:
        values = handler(self)
        return values["metrics"] if self.batch == Evaluate.model_fields["batch"].default else values

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        reference = handler(schema)
        definition = handler.resolve_ref_schema(reference)
        in_full = dict(definition)
        listed = {key: value for key, value in in_full["properties"]["metrics"].items() if key != "default"}
        definition.clear()
        # Not `anyOf`: an editor then shows what is wrong with the form that is meant.
        forms = {"if": {"type": "array"}, "then": listed, "else": in_full}
        definition |= {"description": in_full["description"], **forms}
        return reference


class Sample(Described):
    """Defaults of ``zoo sample`` and of the grids that training draws."""

    n: PositiveInt = 64
    """Number of samples."""
    temperature: PositiveFloat = 1.0
    """Sampling temperature: below 1 samples are nearer to the mode."""
    sampler: Literal["auto"] | Part[Sampler] = "auto"
    """Sampler of a model that has several ways to sample; ``auto`` is the model's choice."""
    batch: PositiveInt = 1000
    """Batch size: a smaller one needs less memory. With another one the same seed gives other samples."""

    @property
    def way(self) -> Part[Sampler] | None:
        """The sampler, unless it is the model's choice."""
        return self.sampler if isinstance(self.sampler, Part) else None


class InitFrom(Described):
    """Weights that a model starts from: those of a share file whose names match a pattern."""

    file: str
    """A share file, or hf://OWNER/NAME@COMMIT."""
    match: str = "*"
    """Pattern of the names of the weights in the file."""
    into: str = ""
    """The part of the model to fill, such as ``autoencoder``; by default the whole model."""
    freeze: bool = False
    """Whether the filled parameters are not trained."""


class _Origin:
    """The node from which a spec was read; its place does not affect equality."""

    def __init__(self, node: Any = None) -> None:
        self.node = node

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Origin)

    __hash__ = None  # type: ignore[assignment]


class Spec(Described):
    """Declaration of a model, its data, training, evaluation and sampling."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Name of the model and of the folder of its runs."""
    description: str = ""
    """Description in one line, for listings."""
    published: list[Published] = []
    """Figures that others published for this model."""
    reached: list[Reached] = []
    """Figures that were measured of this model; not inherited by specs that extend this one."""
    plugins: list[str] = []
    """Required plugins."""
    data: Part[Dataset]
    """The data set."""
    model: Part[Model]
    """The model."""
    train: Train
    """Settings of training."""
    engine: Engine = Engine()
    """Runtime: device, precision, compilation, processes."""
    evaluate: Evaluate = Evaluate()
    """Metrics on the held-out split, and their batch size."""
    sample: Sample = Sample()
    """Defaults of `zoo sample`."""
    init_from: str | InitFrom | Annotated[list[str | InitFrom], Field(min_length=1)] | None = None
    """A share file whose weights this model starts from; with ``match`` a part of them, and of the model; or a list of
    such files."""
    small: dict[str, Any] = {}
    """Overrides for a small version that trains in seconds, which `load_spec` applies on request."""

    _origin: _Origin = PrivateAttr(default_factory=_Origin)

    def resolved(self) -> dict[str, Any]:
        """Plain values with every default written out, of what decides the model; loads to an equal spec."""
        return self.model_dump(mode="json", exclude={"small", "reached"})

    def described(self) -> dict[str, Any]:
        """Plain values as `resolved` gives them, with the figures that were reached."""
        return self.model_dump(mode="json", exclude={"small"} if self.reached else {"small", "reached"})

    @property
    def text(self) -> str | None:
        """The spec as its author wrote it, before overrides; None if it was not read from a file."""
        mark = place_of(self._origin.node).mark
        return None if mark is None or mark.source.path is None else mark.source.text

    def read_from(self, node: Any) -> Spec:
        """The same spec, whose `problem` names the lines of a node."""
        self._origin.node = node
        return self

    def problem(self, path: str, message: str) -> Problem:
        """An error of a key, ``train.views[0].n``, at its line, or that of its parent."""
        value, place = self._origin.node, Place(path=path)
        for key in re.findall(r"[^.\[\]]+", path):
            step = int(key) if isinstance(value, list) else key
            inside = step in value if isinstance(value, dict) else isinstance(value, list) and step < len(value)
            if not inside:
                break
            place, value = child_place(value, step), value[step]
        return Problem(place.mark or place_of(self._origin.node).mark, path, message)

    def sources(self) -> dict[str, InitFrom]:
        """The share files that the model starts from, each under its path in the spec: ``init_from[1]``."""
        several = isinstance(self.init_from, list)
        listed = self.init_from if isinstance(self.init_from, list) else [self.init_from]
        each = (InitFrom(file=one) if isinstance(one, str) else one for one in listed)
        return {f"init_from[{i}]" if several else "init_from": one for i, one in enumerate(each) if one is not None}

    def parts(self) -> Iterator[Part[Any]]:
        """Every declared part, parents first."""
        yield from parts_in(self)


def parts_in(value: Any) -> Iterator[Part[Any]]:
    """Every part declared in a value, parents first."""
    if isinstance(value, Part):
        yield value
        value = value.settings
    if isinstance(value, Settings):
        for name in type(value).model_fields:
            yield from parts_in(getattr(value, name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from parts_in(item)
    elif isinstance(value, dict):
        yield from parts_in(list(value.values()))


def chosen(best: Best, metrics: Sequence[Part[Metric]]) -> tuple[str, Goal]:
    """The figure by which weights are chosen, and which way it is better; LookupError where no metric gives it.

    What the metrics of a plugin do not declare may be there once they measure; less of it is better unless it is said.
    """
    declared = {part.name: part().figures() for part in metrics}
    figures = {name: goal for each in reversed(declared.values()) for name, goal in each.items()}
    name = best.metric
    if name not in figures:
        name = next(iter(declared.get(name, ())), name)
    if name not in figures and all(declared.values()):
        known = nearest(name, {*figures, *declared})
        raise LookupError(f"'{name}' is not a figure of any metric in 'evaluate'{known}")
    goal = best.goal or figures.get(name, "min")
    if goal is None:
        raise LookupError(f"'{name}' has no better direction: set 'goal: min' or 'goal: max'")
    return name, goal


def contradictions(spec: Spec, node: Any) -> Iterator[Problem]:
    """Errors that involve several keys: settings that contradict each other."""
    train = spec.train

    def problem(key: str, message: str) -> Problem:
        place = child_place(node["train"], key)
        return Problem(place.mark, place.path, message)

    if train.best is not None:
        try:
            chosen(train.best, spec.evaluate.metrics)
        except LookupError as error:
            yield problem("best", str(error.args[0]))
        except SpecError as error:
            yield from error.problems
    if train.validate_every is not None and not train.validation:
        yield problem("validate_every", "needs held-out data: set train.validation, such as 0.1 for a tenth")
    if train.best is not None and train.validate_every is None:
        yield problem("best", "needs train.validate_every, the number of steps between validations")
    if train.patience is not None and train.best is None:
        yield problem("patience", "needs train.best, the metric to improve")
    if train.validate_every is not None and not spec.evaluate.metrics:
        yield problem("validate_every", "needs a metric: add one to 'evaluate'")
    if train.views and train.sample_every is None:
        yield problem("views", "needs train.sample_every, the number of steps between pictures")
    views = [view.name for view in train.views]
    for name in sorted({name for name in views if views.count(name) > 1}):
        yield problem(
            "views", f"has '{name}' {views.count(name)} times: a picture is named by its view, so list each once"
        )
