"""Entries of a condition, read from the command line: a value, a text or a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import PIL.ImageSequence
import torch
from torch import Tensor

from ..data.row_file import row_file
from ..errors import DataError, UsageError, listed
from ..event import Event

DAMAGE = (OSError, SyntaxError, ValueError, EOFError, PIL.Image.DecompressionBombError)
"""What Pillow and numpy raise on bytes that are not what their name says."""


def read_entry(entry: Event, text: str) -> Tensor:
    """Examples of an entry, ``[n, *shape]``, from ``text``: the file of this name if there is one, or else a value.

    A value is a number, numbers with commas between them, or a text for an entry with a vocabulary. UsageError or
    `zoo.DataError`, naming the entry, where it is not one of the entry.

    >>> from zoo import Shape
    >>> read_entry(Event("label", Shape(), levels=10), "3")
    tensor([3])
    >>> read_entry(Event("text", Shape(4), levels=3, vocabulary=("", "a", "b"), padding=0), "ab")
    tensor([[1, 2, 0, 0]], dtype=torch.uint8)
    """
    path = Path(text)
    if path.is_file() or (path.suffix.lower() in READERS and not _is_value(entry, text)):
        x = _read(path, entry)
    elif entry.vocabulary is not None:
        return entry.tokens([text])
    else:
        x = _numbers(entry, text)
    if tuple(x.shape) == tuple(entry.shape):
        x = x.unsqueeze(0)
    if tuple(x.shape[1:]) != tuple(entry.shape):
        raise DataError(f"'{text}' has shape {list(x.shape)}; expected {_expected(entry)} for '{entry.name}'")
    return _valued(entry, x, text)


def _is_value(entry: Event, text: str) -> bool:
    """Whether a text that no file is called can only be a value."""
    return entry.vocabulary is not None or text.replace(".", "").isdigit()


def _read(path: Path, entry: Event) -> Tensor:
    """The content of a file, read according to its suffix; rows of numbers for an entry with one number or a vector."""
    read = READERS.get(path.suffix.lower())
    if len(entry.shape) < 2 and entry.vocabulary is None and read is not _read_tensor:
        read = _read_rows
    if read is None:
        raise DataError(f"'{path}' must end in one of {listed([*READERS])}")
    try:
        return read(path, entry)
    except DAMAGE as error:
        raise DataError(f"{path} could not be read: {getattr(error, 'strerror', None) or error}") from None


def _numbers(entry: Event, text: str) -> Tensor:
    try:
        return torch.tensor([float(number) for number in text.split(",")]).reshape(tuple(entry.shape))
    except (ValueError, RuntimeError):
        form = "a whole number" if not len(entry.shape) else f"{entry.shape.size} comma-separated numbers"
        raise UsageError(
            f"'{text}' is not a value of '{entry.name}': expected {form}, or a file ({listed([*READERS])})"
        ) from None


def _valued(entry: Event, x: Tensor, text: str) -> Tensor:
    """The values in the entry's type; whole numbers may be written as floating point numbers."""
    if entry.dtype is None:
        x = x.to(torch.get_default_dtype())
    elif x.is_floating_point() and bool((x == x.round()).all()):
        x = x.long()
    flaw = entry.flaw(x)
    if flaw is not None:
        raise UsageError(f"'{text}' is not a value of '{entry.name}': it {flaw}")
    return x if entry.dtype is None else x.to(entry.dtype)


def _expected(entry: Event) -> str:
    sizes = ", ".join(map(str, entry.shape))
    return f"[{sizes}], or [n, {sizes}]" if sizes else "one number, or [n]"


def _read_array(path: Path, entry: Event) -> Tensor:
    x = np.load(path, allow_pickle=False)
    if x.dtype.kind not in "biuf":
        raise DataError(f"{path} has dtype {x.dtype}, expected numbers")
    return torch.from_numpy(x)


def _read_tensor(path: Path, entry: Event) -> Tensor:
    try:
        x = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch raises on bytes that are not its own
        raise DataError(f"{path} could not be read: {str(error).splitlines()[0]}") from None
    if not isinstance(x, Tensor):
        raise DataError(f"{path} contains a {type(x).__name__}, expected a tensor")
    return x


def _read_rows(path: Path, entry: Event) -> Tensor:
    file = row_file(path)
    rows = torch.from_numpy(file.rows()[:, file.positions()].astype(np.float32))
    if len(entry.shape) == 0 and rows.shape[1] == 1:
        return rows[:, 0]
    if rows.shape[1] != entry.shape.size:
        raise DataError(f"{path} has rows of {rows.shape[1]} numbers; expected {_expected(entry)} for '{entry.name}'")
    return rows.reshape(-1, *entry.shape)


def _read_lines(path: Path, entry: Event) -> Tensor:
    if entry.vocabulary is None:
        raise DataError(f"{path} is a text file, but '{entry.name}' has no vocabulary")
    return entry.tokens(path.read_text(encoding="utf-8").splitlines())


def _read_image(path: Path, entry: Event) -> Tensor:
    if len(entry.shape) not in (3, 4) or entry.shape[-3] not in (1, 3):
        raise DataError(f"{path} is an image, but '{entry.name}' has shape {entry.shape}")
    with PIL.Image.open(path) as image:
        if len(entry.shape) == 3:
            return _pixels(image, entry)
        frames = [_pixels(frame, entry) for frame in PIL.ImageSequence.Iterator(image)]
    return torch.stack(frames)  # [T, C, H, W]


def _pixels(image: PIL.Image.Image, entry: Event) -> Tensor:
    """``[C, H, W]`` on the scale of the entry: resized and cropped about the centre."""
    C, H, W = list(entry.shape)[-3:]
    fitted = PIL.ImageOps.fit(image.convert("L" if C == 1 else "RGB"), (W, H))
    unit = torch.from_numpy(np.array(fitted, dtype=np.float32)).reshape(H, W, C).permute(2, 0, 1) / 255.0
    if entry.levels is not None:
        return entry.of_unit(unit).round()
    low, high = entry.range or (0.0, 1.0)
    return low + (high - low) * unit


READERS: Mapping[str, Callable[[Path, Event], Tensor]] = {
    ".npy": _read_array,
    ".pt": _read_tensor,
    ".csv": _read_rows,
    ".tsv": _read_rows,
    ".txt": _read_lines,
    ".png": _read_image,
    ".jpg": _read_image,
    ".jpeg": _read_image,
    ".webp": _read_image,
    ".gif": _read_image,
}
"""How files of these endings are read."""
