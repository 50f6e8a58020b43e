"""Files of draws by what is drawn: texts, tables, clips, masks, boxes and several entries at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import Tensor

import zoo
from zoo.inference.given import read_entry
from zoo.inference.sample import draw
from zoo.inference.writers import FORMS, default_ending, possible, writer
from zoo.plot.entries import entries_picture
from zoo.plot.images import shown_of
from zoo.storage.atomic import write_whole

IMAGE = zoo.Event("image", zoo.Shape(1, 4, 4), levels=2)
TEXT = zoo.Event("text", zoo.Shape(3), levels=4, vocabulary=("", "a", "\n", "\\"), padding=0)
CLIP = zoo.Event("clip", zoo.Shape(3, 1, 4, 4), levels=256)
COLOUR_CLIP = zoo.Event("clip", zoo.Shape(2, 3, 4, 6), range=(0.0, 1.0))
MASK = zoo.Event("mask", zoo.Shape(1, 4, 4), levels=3, vocabulary=("background", "cat", "dog"))
BOXES = zoo.Event("boxes", zoo.Shape(2, 4), range=(-1.0, 1.0), columns=("x0", "y0", "x1", "y1"), padding=-1)
POINTS = zoo.Event("points", zoo.Shape(2, 2), range=(-1.0, 1.0), columns=("x", "y"), padding=-1)
TABLE = zoo.Event("row", zoo.Shape(2), columns=("height", "weight"))
NUMBERS = zoo.Event("row", zoo.Shape(5))

ALWAYS = {".npz", ".pt", ".jsonl"}
ALONE = ALWAYS | {".npy", ".csv"}
HELD = [
    ([IMAGE], ALONE | {".png"}, ".png"),
    ([TEXT], ALONE | {".txt"}, ".txt"),
    ([CLIP], ALONE | {".png", ".gif", ".mp4"}, ".gif"),
    ([COLOUR_CLIP], ALONE | {".png", ".gif", ".mp4"}, ".gif"),
    ([MASK], ALONE | {".png"}, ".png"),
    ([BOXES], ALONE | {".png"}, ".png"),
    ([POINTS], ALONE | {".png"}, ".png"),
    ([TABLE], ALONE | {".png"}, ".png"),
    ([NUMBERS], ALONE, ".npy"),
    ([IMAGE, TEXT], ALWAYS | {".png"}, ".png"),
    ([IMAGE, BOXES], ALWAYS | {".png"}, ".png"),
    ([TEXT, IMAGE], ALWAYS, ".npz"),
]


def entries(*events: zoo.Event) -> dict[str, zoo.Event]:
    return {event.name: event for event in events}


def batch(held: dict[str, zoo.Event], n: int = 3) -> dict[str, Tensor]:
    return {name: event.example(n, "cpu")[name] for name, event in held.items()}


def written(path: Path, held: dict[str, zoo.Event], x: dict[str, Tensor]) -> Path:
    write = writer(path, held)
    write_whole(path, lambda aside: write(x, aside))
    return path


@pytest.mark.parametrize(
    ("events", "endings", "default"),
    HELD,
    ids=lambda value: "-".join(e.name for e in value) if isinstance(value, list) else None,
)
def test_every_form_that_can_hold_it_is_written(
    events: list[zoo.Event], endings: set[str], default: str, tmp_path: Path
) -> None:
    held = entries(*events)
    pytest.importorskip("av")
    assert set(possible(held)) == endings
    assert default_ending(held) == default
    for ending in FORMS:
        path = tmp_path / f"x{ending}"
        if ending in endings:
            assert written(path, held, batch(held)).stat().st_size > 0
        else:
            with pytest.raises(zoo.UsageError, match=r"; write \.") as refused:
                writer(path, held)
            assert all(ending in str(refused.value).partition("; write")[2] for ending in endings)


class Pair(zoo.Model, zoo.SamplesEntries):
    """Black images with empty texts."""

    def __init__(self) -> None:
        super().__init__(zoo.Event("image", IMAGE.shape, levels=2, also=(TEXT,)))

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        raise NotImplementedError

    def sample_entries(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> zoo.Batch:
        return {name: torch.zeros(n, *self.event.entries[name].shape, dtype=torch.uint8) for name in self.drawn}


class White(zoo.Sampler):
    """White images."""

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        return torch.ones(n, *self.model.event.shape, dtype=torch.uint8)


def test_a_sampler_draws_the_modelled_entry_alone(tmp_path: Path) -> None:
    how: dict[str, Any] = {"n": 2, "temperature": 1.0, "seed": 0}
    draw(Pair(), tmp_path / "both.jsonl", **how)
    assert json.loads((tmp_path / "both.jsonl").read_text().splitlines()[0]).keys() == {"image", "text"}
    draw(Pair(), tmp_path / "one.jsonl", sampler=White, **how)
    assert json.loads((tmp_path / "one.jsonl").read_text().splitlines()[0]).keys() == {"image"}
    assert set(draw(Pair(), tmp_path / "one.npy", sampler=White, **how)) == {"image"}


@pytest.mark.parametrize(("event", "shown"), [(IMAGE, 1024), (CLIP, 1024), (BOXES, 1024), (TABLE, 5000), (TEXT, 5000)])
def test_a_picture_has_room_for_so_many(event: zoo.Event, shown: int) -> None:
    assert shown_of(5000, event) == shown


def test_texts_come_back(tmp_path: Path) -> None:
    held, texts = entries(TEXT), ["a\na", "\\", ""]
    x = {"text": TEXT.tokens(texts)}
    assert written(tmp_path / "x.txt", held, x).read_text() == "a\\na\n\\\\\n\n"
    rows = [json.loads(line) for line in written(tmp_path / "x.jsonl", held, x).read_text().splitlines()]
    assert rows == [{"text": text} for text in texts]


def test_a_draw_is_an_object_with_all_of_its_entries(tmp_path: Path) -> None:
    held = entries(IMAGE, TEXT, BOXES, TABLE)
    x = batch(held, 2)
    x["boxes"] = torch.tensor([[[0.0, 0.0, 0.5, 1.0], [-1.0] * 4], [[-1.0] * 4, [-1.0] * 4]])
    x["row"] = torch.tensor([[1.5, torch.nan], [2.0, 3.0]])
    rows = [json.loads(line) for line in written(tmp_path / "x.jsonl", held, x).read_text().splitlines()]
    assert rows[0]["boxes"] == [{"x0": 0.0, "y0": 0.0, "x1": 0.5, "y1": 1.0}]
    assert rows[1]["boxes"] == []
    assert rows[0]["row"] == {"height": 1.5, "weight": None}
    assert np.array(rows[0]["image"]).shape == (1, 4, 4)
    with np.load(written(tmp_path / "x.npz", held, x)) as arrays:
        assert {name: arrays[name].shape for name in arrays} == {name: tuple(y.shape) for name, y in x.items()}
    loaded = torch.load(written(tmp_path / "x.pt", held, x), weights_only=True)
    assert loaded.keys() == held.keys()


@pytest.mark.parametrize("event", [CLIP, COLOUR_CLIP], ids=["grey", "colour"])
def test_a_clip_is_read_as_it_was_written(event: zoo.Event, tmp_path: Path) -> None:
    held = entries(event)
    x = {"clip": torch.zeros(1, *event.shape, dtype=event.dtype)}
    x["clip"][:, 1] = 1 if event.levels is None else 255
    path = written(tmp_path / "x.gif", held, x)
    with Image.open(path) as clip:
        frames = [frame.convert("L").resize((1, 1)).getpixel((0, 0)) for frame in ImageSequence.Iterator(clip)]
    assert len(frames) == event.shape[0]
    assert isinstance(frames[0], int) and isinstance(frames[1], int)
    assert frames[0] < 80
    assert frames[1] > 200
    if event is CLIP:
        side = Image.new("L", (4, 4), 255)
        side.save(tmp_path / "y.gif", save_all=True, append_images=[Image.new("L", (4, 4), 0), side])
        assert read_entry(event, str(tmp_path / "y.gif")).flatten(2).double().mean(2).tolist() == [[255.0, 0.0, 255.0]]


def test_a_video_has_a_frame_for_each(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = written(tmp_path / "x.mp4", entries(CLIP), batch(entries(CLIP), 4))
    with av.open(str(path)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 3


def test_without_a_codec_a_video_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.inference.writers.find_spec", lambda name: None)
    with pytest.raises(zoo.UsageError, match=r"requires the package av.*generative-zoo\[video\].*; write .*\.gif"):
        writer(tmp_path / "x.mp4", entries(CLIP))


def test_each_class_of_a_mask_has_a_colour() -> None:
    x = torch.tensor([0, 1, 2, 0]).repeat(4, 1).reshape(1, 1, 4, 4).to(torch.uint8)
    picture = entries_picture({"mask": x}, entries(MASK))
    colours = {tuple(c) for c in picture.flatten(1).t().tolist()}
    assert len(colours) == 4  # three classes and the gap


@pytest.mark.parametrize("event", [BOXES, POINTS], ids=lambda event: event.name)
def test_boxes_and_points_are_drawn_where_they_are(event: zoo.Event) -> None:
    at = [[0.25, 0.25, 0.75, 0.75], [-1.0] * 4] if event is BOXES else [[0.5, 0.5], [-1.0, -1.0]]
    image = torch.zeros(1, *IMAGE.shape, dtype=torch.uint8)
    plain, marked = (
        entries_picture({"image": image, event.name: torch.tensor([rows])}, entries(IMAGE, event))
        for rows in ([[-1.0] * event.shape[1]] * 2, at)
    )
    changed = (plain != marked).any(0).nonzero()
    assert len(changed) > 0
    H, W = plain.shape[1:]
    low, high = changed.amin(0) / torch.tensor([H, W]), changed.amax(0) / torch.tensor([H, W])
    expected = (0.25, 0.75) if event is BOXES else (0.5, 0.5)
    assert torch.allclose(low, torch.full((2,), expected[0]), atol=0.06)
    assert torch.allclose(high, torch.full((2,), expected[1]), atol=0.06)


GIVEN: list[tuple[zoo.Event, str, Any]] = [
    (zoo.Event("label", zoo.Shape(), levels=10), "3", [3]),
    (zoo.Event("row", zoo.Shape(2)), "0.5,-1", [[0.5, -1.0]]),
    (TEXT, "aa", [[1, 1, 0]]),
]


@pytest.mark.parametrize(("event", "text", "value"), GIVEN, ids=lambda value: value if isinstance(value, str) else None)
def test_a_value_is_read(event: zoo.Event, text: str, value: Any) -> None:
    assert read_entry(event, text).tolist() == value


@pytest.mark.parametrize(
    ("event", "text", "said"),
    [
        (
            zoo.Event("label", zoo.Shape(), levels=10),
            "10",
            "it has values from 10 to 10, expected integers from 0 to 9",
        ),
        (zoo.Event("label", zoo.Shape(), levels=10), "1.5", r"it is torch\.float32, expected integers from 0 to 9"),
        (zoo.Event("label", zoo.Shape(), levels=10), "cat", "expected a whole number, or a file"),
        (zoo.Event("row", zoo.Shape(2)), "1,2,3", "expected 2 comma-separated numbers"),
        (TEXT, "b", "is not in the vocabulary of 'text'"),
        (TEXT, "aaaa", "'aaaa' has 4 pieces; expected at most 3 for 'text'"),
        (IMAGE, "missing.png", r"missing\.png could not be read: No such file"),
        (IMAGE, "cat", "expected 16 comma-separated numbers, or a file"),
    ],
)
def test_what_is_not_a_value_of_an_entry_is_refused(event: zoo.Event, text: str, said: str) -> None:
    with pytest.raises(zoo.ZooError, match=said):
        read_entry(event, text)


@pytest.mark.parametrize("held", [entries(CLIP), entries(COLOUR_CLIP), entries(IMAGE, TEXT), entries(IMAGE)])
@pytest.mark.parametrize("n", [2, 64])
def test_pictures_of_draws_are_near_a_square(held: dict[str, zoo.Event], n: int) -> None:
    _, height, width = entries_picture(batch(held, n), held).shape
    assert 1 / 3 <= width / height <= 3
