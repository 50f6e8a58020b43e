"""TensorBoard sink."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from zoo import Sink, ZooError, component, install_hint


@component("tensorboard")
class TensorBoard(Sink):
    """TensorBoard sink: every figure as a scalar ``split/name``, in the folder ``tensorboard`` of the run directory.

    When a run is resumed, points after the resumed step are hidden. Raises `zoo.ZooError` if the package
    ``tensorboard`` is not installed.
    """

    def __init__(self) -> None:
        self._writer: Any = None

    def check(self) -> None:
        _module()

    def open(self, directory: Path, since: int) -> None:
        self._writer = _module().SummaryWriter(str(directory / "tensorboard"), purge_step=since + 1)

    def write(self, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float):
                self._writer.add_scalar(f"{row['split']}/{name}", value, row["step"])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _module() -> Any:
    try:
        return import_module("torch.utils.tensorboard")
    except ImportError as error:
        raise ZooError(f"the sink 'tensorboard' requires a package: {install_hint('tensorboard')}") from error
