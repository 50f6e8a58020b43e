"""Records of a run while it trains: rows, pictures, its share file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..data.batches import Source
from ..engine.runtime import Choices
from ..errors import ZooError
from ..format.metadata import Parents
from ..inference.sample import draw, entries_by
from ..inference.views import built_view, draw_picture, drawn_by, first_examples
from ..inference.writers import default_ending
from ..interfaces import Batch, Model, Samples, map_condition
from ..plot.curves import changing, curves, weights_in
from ..plot.density import density_picture
from ..plot.images import shown_of, write_png
from ..progress import Progress
from ..run import directory as run
from ..run import record
from ..run.directory import MetricsLog
from ..run.pace import Pace
from ..share.file import export
from ..spec import Spec
from ..storage.atomic import write_whole

VIEWED = 1000
"""Examples that views are drawn of while training, at most."""
WEIGHTS = "weights.png"


class Journal:
    """Output of a training run, in its directory, from a step on: rows after it are cut. The first process has one."""

    def __init__(
        self,
        spec: Spec,
        directory: Path,
        choices: Choices,
        progress: Progress,
        *,
        step: int,
        data: str,
        parent: Parents,
    ) -> None:
        self.spec, self.choices, self.progress = spec, choices, progress
        self.data, self.parent = data, parent
        self._earlier = record.trained_seconds(directory) or 0.0
        self._earlier_pace = run.pace_of(directory)
        self._log = MetricsLog(directory, step)
        self._directory, self._inode = directory, _inode(directory)
        self._sinks = [part() for part in spec.train.sinks]
        for sink in self._sinks:
            sink.open(directory, step)

    @property
    def directory(self) -> Path:
        """The run's directory; `zoo.ZooError` if it is gone, or was replaced by a new one."""
        if _inode(self._directory) != self._inode:
            raise ZooError(f"{self._directory} was moved or removed during training")
        return self._directory

    @property
    def log(self) -> MetricsLog:
        """The rows of the run, as long as its directory is there."""
        self._log.path = self.directory / record.METRICS
        return self._log

    def row(self, row: Mapping[str, Any]) -> None:
        """A row of figures."""
        row = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}
        self.log.write(row)
        for sink in self._sinks:
            sink.write(row)
        self.progress.row(row)

    def sync(self) -> None:
        """Return when every row is on the disk, as it has to be before a checkpoint that counts on it."""
        self.log.sync()

    def picture(self, model: Model, step: int, source: Source) -> None:
        """Samples of a model, if it samples, under the conditions of examples of a source."""
        if not isinstance(model, Samples):
            return
        path = self.directory / run.SAMPLES / f"step-{step}{default_ending(entries_by(model, self.spec.sample.way))}"
        asked = self.spec.sample
        n, context = shown_of(asked.n, model.event), None
        if {*model.conditions} - {"label"}:  # each class in turn; anything else as in the data
            given = map_condition(Tensor.cpu, model.given(first_examples(source, n) or {}))
            n, context = min(n, len(source)), given
        how: dict[str, Any] = {"n": n, "context": context, "temperature": asked.temperature, "sampler": asked.way}
        draw(model, path, seed=self.spec.train.seed, batch=asked.batch, **how)

    def density(self, model: Model, step: int, data: Batch) -> None:
        """Draw the density of a model next to data."""
        path = self.directory / run.SAMPLES / f"density-step-{step}.png"
        asked = self.spec.sample
        n, temperature, seed = shown_of(asked.n, model.event), asked.temperature, self.spec.train.seed
        draw_picture(density_picture, model, path, n=n, temperature=temperature, seed=seed, data=data)

    def views(self, model: Model, step: int, source: Source) -> None:
        """Draw the declared views of a model, with examples of a source."""
        asked = self.spec.sample
        data = first_examples(source, VIEWED) if self.spec.train.views else None
        temperature, seed = asked.temperature, self.spec.train.seed
        for part in self.spec.train.views:
            path = self.directory / run.SAMPLES / f"{part.name}-step-{step}.png"
            view = built_view(part, model, seed)
            n = shown_of(view.default_n or asked.n, model.event)
            draw_picture(drawn_by(view), model, path, n=n, temperature=temperature, seed=seed, data=data)

    def curves(self) -> None:
        """The weights of the loss that change over the rows so far."""
        try:
            series = changing(weights_in(self.log.path))
        except OSError as error:
            raise ZooError(f"{self.log.path} could not be read: {error.strerror}") from None
        if series:
            image = curves(series, "weights of the loss, by step")
            write_whole(self.directory / run.SAMPLES / WEIGHTS, lambda aside: write_png(image, aside))

    def publish(self, model: Model, step: int) -> None:
        """A model as the run's share file."""
        export(self.directory / record.MODEL, self.spec, model, step=step, data=self.data, parent=self.parent)

    def record(self, pace: Pace | None = None, **facts: Any) -> None:
        """Record facts of the run: status, step, seconds, and the pace of its steps."""
        facts |= {"steps": self.spec.train.steps, record.TOTAL: self._earlier + facts.get("seconds", 0.0)}
        run.record(self.directory, self.choices, self._earlier_pace + (pace or Pace()), **facts)

    def close(self) -> None:
        """Nothing more comes."""
        self._log.close()
        for sink in self._sinks:
            sink.close()


def _inode(directory: Path) -> tuple[int, int] | None:
    """The identity of a directory among those of the same name; None if it does not exist."""
    try:
        found = directory.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
