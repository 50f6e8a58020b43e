"""File formats of programs for other runtimes than zoo."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar
from zipfile import ZipFile, ZipInfo

import torch
from torch import Tensor

from ..distribution import install_hint
from ..errors import PluginError
from ..storage.atomic import write_through_memory
from .program import Program

ABOUT = "zoo"
"""The key under which a file says where it comes from, as JSON."""


class Format(ABC):
    """A format that programs are written in; the number of rows stays open."""

    name: ClassVar[str]
    ending: ClassVar[str]

    @abstractmethod
    def write(self, program: Program, example: Tensor, path: Path, about: str) -> None:
        """Write a program, as it runs on an example of at least two rows."""

    @abstractmethod
    def open(self, path: Path) -> Callable[[Tensor], Tensor]:
        """The written program, run by the runtime that the format is for."""


class TorchScript(Format):
    """TorchScript, by tracing: for ``torch.jit.load`` and for libtorch."""

    name, ending = "torchscript", ".pt"

    def write(self, program: Program, example: Tensor, path: Path, about: str) -> None:
        script = torch.jit.trace(program, (example,), check_trace=False)  # type: ignore[no-untyped-call]
        written = io.BytesIO()
        torch.jit.save(script, written, _extra_files={ABOUT: about})
        # The debug files hold nothing but the paths of source files on this machine.
        with ZipFile(written) as archive, ZipFile(path, "w") as kept:
            for entry in archive.infolist():
                if not entry.filename.endswith(".debug_pkl"):
                    kept.writestr(ZipInfo(entry.filename), archive.read(entry))

    def open(self, path: Path) -> Callable[[Tensor], Tensor]:
        script: Callable[[Tensor], Tensor] = torch.jit.load(path)  # type: ignore[no-untyped-call]
        return script


class PT2(Format):
    """An exported graph of PyTorch 2, for ``torch.export.load`` and for ahead-of-time compilation."""

    name, ending = "pt2", ".pt2"

    def write(self, program: Program, example: Tensor, path: Path, about: str) -> None:
        graph = _graph(program, example)
        write_through_memory(path, lambda file: torch.export.save(graph, file, extra_files={ABOUT: about}))

    def open(self, path: Path) -> Callable[[Tensor], Tensor]:
        with path.open("rb") as file:
            module: Callable[[Tensor], Tensor] = torch.export.load(file).module()
        return module


class ONNX(Format):
    """ONNX, checked with ONNX Runtime; PluginError where the packages of the extra ``onnx`` are missing."""

    name, ending = "onnx", ".onnx"

    def __init__(self) -> None:
        try:
            self._onnx, self._runtime, _ = map(import_module, ("onnx", "onnxruntime", "onnxscript"))
        except ImportError as error:
            raise PluginError(f"the format 'onnx' requires a package ({error.name}): {install_hint('onnx')}") from None

    def write(self, program: Program, example: Tensor, path: Path, about: str) -> None:
        exported: Any = torch.onnx.export(
            _graph(program, example),
            input_names=[program.takes],
            output_names=[program.gives],
            dynamic_shapes=({0: "n"},),
            dynamo=True,
            verbose=False,
        )
        model = exported.model_proto
        self._onnx.helper.set_model_props(model, {ABOUT: about})
        self._onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))

    def open(self, path: Path) -> Callable[[Tensor], Tensor]:
        session = self._runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (takes,) = session.get_inputs()
        return lambda x: torch.from_numpy(session.run(None, {takes.name: x.numpy()})[0])


FORMATS: dict[str, type[Format]] = {form.name: form for form in (ONNX, TorchScript, PT2)}


def _graph(program: Program, example: Tensor) -> torch.export.ExportedProgram:
    """The graph of a program for any number of rows, without the paths of source files on this machine."""
    graph = torch.export.export(program, (example,), dynamic_shapes=({0: torch.export.Dim("n")},), strict=False)
    for node in graph.graph.nodes:
        node.meta.pop("stack_trace", None)
    return graph
