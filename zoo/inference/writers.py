"""Files of draws, by their ending and by what is drawn: pictures, arrays, tables, texts, clips, masks and boxes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..distribution import install_hint
from ..errors import UsageError, listed
from ..event import Event
from ..interfaces import Batch
from ..plot.entries import entries_picture, frames_of, is_clip, is_text, picture_problem
from ..plot.images import write_png
from ..registry.outputs import ending
from ..shape import Shape
from ..storage.atomic import write_through_memory

Entries = Mapping[str, Event]
"""What is drawn: the entries of an example by name, the modelled one first."""

FRAMES_PER_SECOND = 8


@dataclass(frozen=True)
class Form:
    """A form of file: why it cannot hold some entries, if so, and how draws of them are written."""

    problem: Callable[[Entries], str | None]
    write: Callable[[Batch, Entries, Path], None]


def writer(path: Path, entries: Entries) -> Callable[[Batch, Path], None]:
    """The writer of draws for files of this ending; UsageError, before sampling, if it cannot hold the entries."""
    form = FORMS.get(ending(path))
    if form is None:
        raise UsageError(f"'{path}' must end in one of {', '.join(FORMS)}")
    problem = form.problem(entries)
    if problem is not None:
        raise UsageError(f"{problem}; write {either(possible(entries))}")
    return lambda batch, aside: form.write(batch, entries, aside)


def possible(entries: Entries) -> list[str]:
    """The endings of the files that can hold draws of these entries."""
    return [end for end, form in FORMS.items() if form.problem(entries) is None]


def default_ending(entries: Entries) -> str:
    """The ending that shows these entries best: a picture, a text, or else an array."""
    return next(end for end in (".gif", ".png", ".txt", ".npy", ".npz") if FORMS[end].problem(entries) is None)


def array_writer(path: Path) -> Callable[[Tensor, Path], None]:
    """The writer of numbers, such as codes, for files of this ending."""
    if ending(path) not in ARRAYS:
        raise UsageError(f"'{path}' must end in one of {', '.join(ARRAYS)}")
    write = FORMS[ending(path)].write
    return lambda x, aside: write({"x": x}, {"x": Event("x", Shape(*x.shape[1:]))}, aside)


def either(endings: Sequence[str]) -> str:
    """Endings as a sentence offers them."""
    return " or ".join(filter(None, (", ".join(endings[:-1]), endings[-1])))


# -- what a form cannot hold -------------------------------------------------------------------------------------------


def _anything(entries: Entries) -> None:
    return None


def _several(entries: Entries) -> str | None:
    return f"a draw has several entries, {listed([*entries])}" if len(entries) > 1 else None


def _no_text(entries: Entries) -> str | None:
    ((name, entry), *others) = entries.items()
    if others:
        return _several(entries)
    return None if is_text(entry) else f"'{name}' is not text"


def _no_clip(entries: Entries) -> str | None:
    ((name, entry), *others) = entries.items()
    if others:
        return _several(entries)
    return None if is_clip(entry) else f"'{name}' of shape {entry.shape} is not a clip [T, C, H, W]"


def _no_video(entries: Entries) -> str | None:
    if (problem := _no_clip(entries)) is not None:
        return problem
    if find_spec("av") is None:
        return f"a video requires the package av, which is not installed: {install_hint('video')}"
    H, W = list(next(iter(entries.values())).shape)[-2:]
    return f"a video must have an even height and width, got {H}x{W}" if H % 2 or W % 2 else None


# -- how a form is written ---------------------------------------------------------------------------------------------


def _main(batch: Batch, entries: Entries) -> Tensor:
    return batch[next(iter(entries))]


def _write_png(batch: Batch, entries: Entries, path: Path) -> None:
    write_png(entries_picture(batch, entries), path)


def _write_npy(batch: Batch, entries: Entries, path: Path) -> None:
    x = _main(batch, entries)
    write_through_memory(path, lambda file: np.save(file, x.numpy()))


def _write_npz(batch: Batch, entries: Entries, path: Path) -> None:
    arrays = {name: batch[name].numpy() for name in entries}
    write_through_memory(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def _write_pt(batch: Batch, entries: Entries, path: Path) -> None:
    x = _main(batch, entries) if len(entries) == 1 else {name: batch[name] for name in entries}
    # Given a path, torch would write its name into the file.
    write_through_memory(path, lambda file: torch.save(x, file))


def _write_csv(batch: Batch, entries: Entries, path: Path) -> None:
    x = _main(batch, entries)
    with path.open("w") as file:
        np.savetxt(file, x.flatten(1).numpy(), delimiter=",", fmt="%.9g" if x.is_floating_point() else "%d")


def _write_txt(batch: Batch, entries: Entries, path: Path) -> None:
    """A line for each text; a line break within one is written as ``\\n``, and a backslash as two."""
    ((name, entry),) = entries.items()
    lines = (text.replace("\\", "\\\\").replace("\n", "\\n") for text in entry.text(batch[name]))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _write_jsonl(batch: Batch, entries: Entries, path: Path) -> None:
    """An object for each draw, with every entry by its name."""
    columns = {name: readable(entry, batch[name]) for name, entry in entries.items()}
    with path.open("w", encoding="utf-8") as file:
        for row in zip(*columns.values(), strict=True):
            file.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")


def readable(entry: Event, x: Tensor) -> list[Any]:
    """Each example of an entry as a plain value: a text, a mapping by column, a list without its padding.

    >>> from zoo import Shape
    >>> boxes = Event("boxes", Shape(2, 4), range=(-1.0, 1.0), columns=("x0", "y0", "x1", "y1"), padding=-1)
    >>> readable(boxes, torch.tensor([[[0.0, 0.0, 0.5, 1.0], [-1.0, -1.0, -1.0, -1.0]]]))
    [[{'x0': 0.0, 'y0': 0.0, 'x1': 0.5, 'y1': 1.0}]]
    """
    if is_text(entry):
        return list(entry.text(x))
    rows = [_finite(row) for row in x.tolist()]
    if entry.padding is not None:
        rows = [row[:length] for row, length in zip(rows, entry.mask(x).sum(1).tolist(), strict=True)]
    if entry.columns is None:
        return rows
    names = entry.columns
    if len(entry.shape) == 1:
        return [dict(zip(names, row, strict=True)) for row in rows]
    return [[dict(zip(names, item, strict=True)) for item in row] for row in rows]


def _finite(value: Any) -> Any:
    """Nested numbers, with null for those that JSON does not have."""
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _write_gif(batch: Batch, entries: Entries, path: Path) -> None:
    from PIL import Image

    ((name, entry),) = entries.items()
    frames = [Image.fromarray(frame) for frame in frames_of(batch[name], entry)]
    duration = 1000 // FRAMES_PER_SECOND
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0)


def _write_mp4(batch: Batch, entries: Entries, path: Path) -> None:
    import av

    ((name, entry),) = entries.items()
    frames = frames_of(batch[name], entry)
    with av.open(str(path), "w", format="mp4") as video:
        stream = video.add_stream("libx264", rate=FRAMES_PER_SECOND)
        H, W, _ = frames[0].shape
        stream.width, stream.height, stream.pix_fmt = W - W % 2, H - H % 2, "yuv420p"
        for frame in frames:
            video.mux(stream.encode(av.VideoFrame.from_ndarray(frame[: stream.height, : stream.width], format="rgb24")))
        video.mux(stream.encode())


FORMS: Mapping[str, Form] = {
    ".png": Form(picture_problem, _write_png),
    ".npy": Form(_several, _write_npy),
    ".npz": Form(_anything, _write_npz),
    ".pt": Form(_anything, _write_pt),
    ".csv": Form(_several, _write_csv),
    ".txt": Form(_no_text, _write_txt),
    ".jsonl": Form(_anything, _write_jsonl),
    ".gif": Form(_no_clip, _write_gif),
    ".mp4": Form(_no_video, _write_mp4),
}
"""The forms of files by their ending."""
ARRAYS = (".npy", ".pt", ".csv")
PICTURES = (".png", ".gif", ".mp4")
"""The forms that have no room for very many draws."""
