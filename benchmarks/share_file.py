"""Writing and opening the share file of a model with 100 million parameters: time, and memory beyond the file's size.

``safetensors.torch.load_file`` maps a file and reads nothing until somebody asks for the numbers; with
``backend="pread"`` it reads them at once. zoo reads them at once, hashes all, and builds the model that they belong to.
Warm, the file lies in the page cache; cold, its pages are dropped before each opening.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import zoo
from zoo.share.file import export

from .harness import CLOCKS, COLUMNS, Block, Clock, cells, interleave, machine, markdown, summarise, verdict
from .workers import peak_resident

WIDTH, COUPLINGS = 4096, 6
TIME_BAR, MEMORY_BAR = 1.5, 1.1
PAGE = 4096


def main() -> None:
    options = parse()
    width = 64 if options.quick else WIDTH
    rounds = 2 if options.quick else options.rounds
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        file = Path(folder) / "model.safetensors"
        model = zoo.build(declared(width))
        export(file, declared(width), model, step=0, data=None)
        size = file.stat().st_size
        print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {size:,} bytes")
        for state, before in (("warm", lambda: None), ("cold", partial(drop_pages, file))):
            report_readers(state, file, before, rounds, options.clock)
        del model
        report_memory(file, size)
        report_writers(width, Path(folder), rounds, options.clock)


def report_readers(state: str, file: Path, before: Callable[[], None], rounds: int, clock: Clock) -> None:
    blocks = {name: block(partial(READERS[name], file), before, clock) for name in READERS}
    timings = interleave(blocks, rounds, 1)
    summaries = summarise(timings, "load_file, pread")
    print(f"\nOpening it {state}, {rounds} rounds, {clock} clock\n")
    print(markdown(["", *COLUMNS], [[name, *cells(summary)] for name, summary in summaries.items()]))
    for reference in list(READERS)[:3]:
        print(f"zoo.load of {reference}: {verdict(summarise(timings, reference)['zoo.load'], TIME_BAR)}")


def report_memory(file: Path, size: int) -> None:
    rows = []
    for name in READERS:
        peak = alone(_peak_of_reading, name, file)
        rows.append([name, f"{peak / 2**20:.0f}", f"{peak / size:.3f}"])
    print(f"\nPeak of memory beyond what the process had before; the bar is {MEMORY_BAR}\n")
    print(markdown(["opening", "MiB", "of the file"], rows))


def report_writers(width: int, folder: Path, rounds: int, clock: Clock) -> None:
    model = zoo.build(declared(width))
    blocks = {name: block(partial(WRITERS[name], model, folder / "out"), os.sync, clock) for name in WRITERS}
    summaries = summarise(interleave(blocks, rounds, 1), "save_file, fsync")
    del model
    peaks = {name: f"{alone(_peak_of_writing, name, folder / 'out', width) / 2**20:.0f}" for name in WRITERS}
    print(f"\nWriting it, {rounds} rounds, {clock} clock\n")
    rows = [[name, *cells(summary), peaks[name]] for name, summary in summaries.items()]
    print(markdown(["", *COLUMNS, "peak MiB beyond the model"], rows))


def declared(width: int = WIDTH) -> zoo.Spec:
    """A flow in the plane whose networks are far too large for it: a few large tensors and some small ones."""
    net = {"type": "mlp", "width": width, "depth": 2}
    coupling = {"type": "affine_coupling", "mask": "channel", "conditioner": net}
    return zoo.load_spec(
        {
            "name": "large",
            "data": {"type": "toy2d", "figure": "two_moons"},
            "model": {"type": "flow", "base": "standard_normal", "transforms": [coupling] * COUPLINGS},
            "train": {"steps": 1, "batch": 1, "optimizer": "adam"},
        }
    )


def by_hand(file: Path) -> zoo.Model:
    """What somebody would write who has the model's class: build, open, copy."""
    tensors = load_file(file)
    width = max(tensor.shape[0] for tensor in tensors.values() if tensor.dim())
    model = zoo.build(declared(width))
    model.load_state_dict(tensors)
    return model


def touch(tensors: Mapping[str, Tensor]) -> int:
    """Ask for a byte of each page."""
    return sum(int(t.reshape(-1).view(torch.uint8)[::PAGE].sum()) for t in tensors.values() if t.numel())


def save_synced(model: zoo.Model, file: Path) -> None:
    """As safe as zoo's: on the disk when it returns."""
    save_file(dict(model.state_dict()), file)
    handle = os.open(file, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def export_model(model: zoo.Model, file: Path) -> None:
    """zoo's way: hashed, on the disk, and renamed into its place."""
    export(file, declared(), model, step=0, data=None)


READERS: Mapping[str, Callable[[Path], object]] = {
    "load_file": load_file,
    "load_file, pages touched": lambda file: touch(load_file(file)),
    "load_file, pread": lambda file: load_file(file, backend="pread"),
    "by hand": by_hand,
    "zoo.load": zoo.load,
}
WRITERS: Mapping[str, Callable[[zoo.Model, Path], object]] = {
    "save_file": lambda model, file: save_file(dict(model.state_dict()), file),
    "save_file, fsync": save_synced,
    "zoo": export_model,
}


def drop_pages(file: Path) -> None:
    """Take a file, which is on the disk, out of the page cache."""
    handle = os.open(file, os.O_RDONLY)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)


def block(step: Callable[[], object], before: Callable[[], None], clock: Clock) -> Block:
    """A block of calls of ``step``, each after a ``before`` that is not timed."""
    now = CLOCKS[clock]

    def run(steps: int) -> float:
        spent = 0.0
        for _ in range(steps):
            before()
            began = now()
            step()
            spent += now() - began
        return spent / steps

    return run


def alone(work: Callable[..., int], *args: object) -> int:
    """What a function gives in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args).result()


def _peak_of_reading(name: str, file: Path) -> int:
    before = _resident()
    held = READERS[name](file)
    peak = peak_resident() - before
    del held
    return peak


def _peak_of_writing(name: str, file: Path, width: int) -> int:
    model = zoo.build(declared(width))
    before = _resident()
    WRITERS[name](model, file)
    return peak_resident() - before


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.share_file", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=12, help="in each, all run once")
    parser.add_argument("--threads", type=int, default=2, help="of torch; zoo reads with as many as there are cores")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu adds up all threads")
    parser.add_argument("--folder", type=Path, help="on the disk that is meant; the system's own by default")
    parser.add_argument("--quick", action="store_true", help="two rounds of a small model: does it run?")
    return parser.parse_args()


if __name__ == "__main__":
    main()
