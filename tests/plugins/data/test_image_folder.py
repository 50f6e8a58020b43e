"""Folders and archives of images: each image once, none lost, and what is left out is said."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

import zoo

tree_of = import_module("zoo.plugins.data.images.folder").tree_of
decode = import_module("zoo.plugins.data.images.decode").decode
NAMES = ["a/0.png", "a/1.png", "b/2.png", "b/3.png"]


def png(shade: int = 0, mode: str = "L", side: int = 4, **options: Any) -> bytes:
    file = io.BytesIO()
    PIL.Image.new(mode, (side, side), (shade, shade // 2) if mode == "LA" else shade).save(file, "png", **options)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images in two folders."""
    for number, name in enumerate(NAMES):
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(png(number))
    return tmp_path / "mine"


def archive(path: Path, *members: tuple[str, bytes | tarfile.TarInfo]) -> Path:
    """An archive of named contents, and of members as they are."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
            member.name = name
            tar.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


def link(target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo()
    member.type, member.linkname = kind, target
    return member


def names(path: Path) -> list[str]:
    return [image.name for image in tree_of(path).images]


def images(path: Path, **more: Any) -> zoo.Dataset:
    built: zoo.Dataset = zoo.declare(zoo.Dataset, {"type": "image_folder", "train": str(path), "size": 4, **more})()
    return built


def pixels(examples: zoo.Examples) -> list[int]:
    return [int(image.flatten()[0]) for image in examples.read(torch.arange(len(examples)))["image"]]


# Archives that are not whole.


def test_a_cut_anywhere_is_refused_or_loses_nothing(tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.tar", *((f"a/{'long' * 30 * (n % 2)}{n}.png", png(n)) for n in range(5)))
    content, every = whole.read_bytes(), names(whole)
    with tarfile.open(whole) as tar:
        list(tar)
        end = tar.offset + 1024
    assert len(every) == 5
    assert len(content) > end
    for length in [*range(1, end, 128), end - 1, end, end + 1, len(content) - 1]:
        (tmp_path / "cut.tar").write_bytes(content[:length])
        if length >= end:
            assert names(tmp_path / "cut.tar") == every, length
        else:
            with pytest.raises(zoo.DataError, match=r"cut\.tar"):
                names(tmp_path / "cut.tar")


def test_a_damaged_header_does_not_end_an_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.tar", *((f"{n}.png", png(n)) for n in range(4)))
    with tarfile.open(path) as tar:
        second = tar.getmembers()[1].offset
    content = bytearray(path.read_bytes())
    content[second] ^= 1
    path.write_bytes(content)
    with pytest.raises(zoo.DataError, match=rf"x\.tar is damaged at byte {second}"):
        names(path)


def test_an_archive_behind_another_is_not_lost(tmp_path: Path) -> None:
    first, second = (archive(tmp_path / f"{n}.tar", (f"{n}.png", png())) for n in range(2))
    first.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(zoo.DataError, match=r"continues after its end.*--concatenate"):
        names(first)


# Links.


def test_links_in_an_archive_are_followed(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "x.tar",
        ("store/blob", png(7)),
        ("./a/0.png", png(0)),
        ("a/hard.png", link("./a/0.png", tarfile.LNKTYPE)),
        ("a/soft.png", link("0.png")),
        ("b/up.png", link("../store/blob")),
        ("b/chain.png", link("../a/../a/soft.png")),
        ("c", link("store")),
        ("b/folder.png", link("../c/blob")),
        ("b/nothing.png", link("absent.png")),
        ("b/circle.png", link("circle.png")),
        ("out", link("/etc")),
        ("d", link("b")),
    )
    tree = tree_of(path)
    shades = {image.name: int(np.asarray(PIL.Image.open(io.BytesIO(image.read())))[0, 0]) for image in tree.images}
    assert shades == {
        "a/0.png": 0, "a/hard.png": 0, "a/soft.png": 0, "b/chain.png": 0, "b/up.png": 7, "b/folder.png": 7,
    }  # fmt: skip
    said = "\n".join(tree.notes)
    assert "skipped 2 broken links, such as 'b/nothing.png'" in said
    assert "1 links that lead out of the archive, such as 'out'" in said


@pytest.mark.parametrize("target", ["/etc/x.png", "../x.png", "../../x.png", "../out/x.png", "a/../../x.png"])
def test_links_out_of_an_archive_are_refused(tmp_path: Path, target: str) -> None:
    path = archive(tmp_path / "x.tar", ("a/0.png", png()), ("out", link("..")), ("1.png", link(target)))
    with pytest.raises(zoo.DataError, match=r"the image '1\.png' is a link that leads out of the archive"):
        names(path)


def test_a_hard_link_to_nothing_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.tar", ("0.png", png()), ("1.png", link("2.png", tarfile.LNKTYPE)))
    with pytest.raises(zoo.DataError, match=r"'1\.png' is a hard link to a file that does not precede it"):
        names(path)


def test_of_one_name_the_last_member_counts(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "x.tar", ("0.png", png(1)), ("1.png", link("0.png")), ("1.png", png(2)), ("0.png", png(3))
    )
    assert pixels(images(path, test="unused").split("train")) == [3, 2]


def test_a_folder_is_read_once_whatever_leads_to_it(folder: Path) -> None:
    (folder / "a" / "up").symlink_to(folder)
    (folder / "0").symlink_to("b")  # sorted before what it leads to
    outside = folder.parent / "elsewhere"
    outside.mkdir()
    (outside / "4.png").write_bytes(png(4))
    (folder / "c").symlink_to(outside)
    tree = tree_of(folder)
    assert [image.name for image in tree.images] == [*NAMES, "c/4.png"]
    assert any(
        "skipped 2 links to folders whose images are already read under another name" in note for note in tree.notes
    )


def test_names_of_one_file_are_held_out_together(folder: Path) -> None:
    for number, name in enumerate(NAMES):
        (folder / f"soft{number}.png").symlink_to(folder / name)
        os.link(folder / name, folder / f"hard{number}.png")
    data = images(folder, test_fraction=0.5)
    train, test = (pixels(data.split(split)) for split in ("train", "test"))
    assert sorted(train + test) == sorted([0, 1, 2, 3] * 3)
    assert not set(train) & set(test)


def test_test_images_that_are_training_images_are_said(folder: Path) -> None:
    said = "\n".join(images(folder, test=str(folder / "a")).split("test").survey())
    assert "2 of 2 test images are training images too, such as '0.png'" in said
    (folder / "a").rename(folder.parent / "test")
    assert not list(images(folder, test=str(folder.parent / "test")).split("test").survey())


# What is no image.


def fifo(path: Path) -> None:
    os.mkfifo(path)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (fifo, "not regular files"),
        (listening, "not regular files"),
        (dangling, "broken links"),
        (circle, "broken links"),
    ],
)
def test_what_is_no_file_is_skipped_and_said(folder: Path, make: Callable[[Path], None], reason: str) -> None:
    make(folder / "a" / "p.png")
    tree = tree_of(folder)
    assert [image.name for image in tree.images] == NAMES
    assert [note for note in tree.notes if reason in note and "'a/p.png'" in note]


def test_devices_in_archives_are_skipped_and_said(tmp_path: Path) -> None:
    tree = tree_of(archive(tmp_path / "x.tar", ("0.png", png()), ("p.png", link("", tarfile.FIFOTYPE))))
    assert [image.name for image in tree.images] == ["0.png"]
    assert "skipped 1 that are not regular files" in tree.notes[0]


def test_lock_files_and_hidden_files_are_ignored(folder: Path) -> None:
    (folder / "a" / ".#0.png").symlink_to("user@host.1234:5678")
    (folder / "a" / "~$0.png").write_bytes(b"user")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.png").write_bytes(png())
    tree = tree_of(folder)
    assert ([image.name for image in tree.images], tree.notes) == (NAMES, [])


def test_images_of_other_formats_are_said(folder: Path) -> None:
    for name in ("x.webp", "y.GIF", "notes.txt"):
        (folder / name).touch()
    packed = folder.with_suffix(".tar")
    with tarfile.open(packed, "w") as tar:
        tar.add(folder, arcname=".")
    for path in (folder, packed):
        (note,) = tree_of(path).notes
        assert "skipped 2 images of an unsupported format" in note


def test_a_folder_that_cannot_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def closed(path: Any) -> Any:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(zoo.DataError, match=rf"{folder / 'b'} cannot be read \(Permission denied\)"):
        names(folder)


# What is seen before training starts.


def test_damage_is_seen_before_training(folder: Path) -> None:
    (folder / "b" / "3.png").write_bytes(png()[:40])
    with pytest.raises(zoo.DataError, match=r"the image 'b/3\.png' is damaged") as caught:
        list(images(folder, test=str(folder)).split("train").survey())
    assert "0x" not in str(caught.value)
    (folder / "b" / "3.png").write_bytes(b"")
    with pytest.raises(zoo.DataError, match=r"the image 'b/3\.png' is empty"):
        list(images(folder, test=str(folder)).split("train").survey())


def test_small_and_transparent_images_are_said(folder: Path) -> None:
    (folder / "a" / "0.png").write_bytes(png(0, "LA", side=9))
    (folder / "a" / "1.png").write_bytes(png(0, side=9))
    said = list(images(folder, test="unused", size=8).split("train").survey())
    assert said[0].startswith("1 of 4 images that were checked, such as 'a/0.png', are partly transparent")
    assert "'background'" in said[0]
    assert said[1].startswith("2 of 4 images that were checked, such as 'b/2.png', are enlarged to 8")


def test_names_that_are_no_text_have_a_fingerprint(folder: Path) -> None:
    (folder / "a" / "0.png").rename(folder / "a" / os.fsdecode(b"\xff.png"))
    assert images(folder).split("train").fingerprint().startswith("sha256:")


@pytest.mark.parametrize(
    "around",
    [
        {"type": "binarised"},
        {"type": "binarised", "how": "static"},
        {"type": "binarised", "how": "threshold"},
        {"type": "subset", "train": 2},
    ],
    ids=str,
)
def test_data_made_of_other_data_has_its_warnings(folder: Path, around: dict[str, Any]) -> None:
    dangling(folder / "p.png")
    of = {"type": "image_folder", "train": str(folder), "size": 4}
    said = list(zoo.declare(zoo.Dataset, {**around, "of": of})().split("train").survey())
    assert said == list(images(folder).split("train").survey())
    assert "'p.png'" in said[0]


# Transparency.


@pytest.mark.parametrize("background", ["white", "black", [10, 200, 30]])
def test_transparency_shows_the_background(tmp_path: Path, background: Any) -> None:
    colour = (
        {"white": [255] * 3, "black": [0] * 3}.get(background, background)
        if isinstance(background, str)
        else background
    )
    logo = np.zeros((2, 2, 4), np.uint8)  # black on nothing
    logo[0, 0, 3], logo[0, 1, 3] = 255, 128
    PIL.Image.fromarray(logo).save(tmp_path / "0.png")
    image = images(tmp_path, size=2, test="unused", background=background).split("train").read(torch.arange(1))["image"]
    assert image[0, :, 0, 0].tolist() == [0, 0, 0]
    assert image[0, :, 1, 1].tolist() == colour
    half = [round(level * 127 / 255) for level in colour]
    assert (image[0, :, 0, 1] - torch.tensor(half)).abs().max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB", "1"])
def test_every_kind_of_transparency_is_seen(mode: str) -> None:
    """A transparent image of a dark colour is the background, and an opaque one is itself."""
    file, opaque = io.BytesIO(), io.BytesIO()
    dark = PIL.Image.new("L", (2, 2), 0)
    if mode in ("RGBA", "LA"):
        clear = dark.convert(mode)
        clear.putalpha(0)
        clear.save(file, "png")
    else:
        dark.convert(mode).save(file, "png", transparency=(0, 0, 0) if mode == "RGB" else 0)
    dark.convert(mode).save(opaque, "png")
    for pixels_of, channels in (("L", 1), ("RGB", 3)):
        assert decode(file.getvalue(), pixels_of, 2, (9, 9, 9)).tolist() == [[[9, 9], [9, 9]]] * channels
        assert decode(opaque.getvalue(), pixels_of, 2, (9, 9, 9)).tolist() == [[[0, 0], [0, 0]]] * channels
