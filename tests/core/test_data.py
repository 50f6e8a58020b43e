"""Data sets: fixed splits, files read as they are, and errors that say what to do."""

from __future__ import annotations

import io
import math
import pickle
import tarfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

import zoo

curved: Any = import_module("zoo.plugins.data.toy.curved")
two_moons = import_module("zoo.plugins.data.toy.two_moons")
decode = import_module("zoo.plugins.data.images.decode").decode
hold_out = import_module("zoo.plugins.data.split").hold_out
places = import_module("zoo.plugins.data.locate")

FIGURES = (
    "two_moons",
    "eight_gaussians",
    "checkerboard",
    "pinwheel",
    "rings",
    "spirals",
    "banana",
    "funnel",
    "student_t",
)
FILELESS: list[Any] = [
    "digits",
    *({"type": "toy2d", "figure": figure, "size": 300, "test_size": 300} for figure in FIGURES),
    {"type": "dsprites_like", "size": 300, "test_size": 300},
    {"type": "binarised", "of": "digits"},
    {"type": "binarised", "of": "digits", "how": "static"},
    {"type": "subset", "of": "digits", "train": 100},
]
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def dataset(node: Any) -> zoo.Dataset:
    built: zoo.Dataset = zoo.declare(zoo.Dataset, node)()
    return built


def whole(examples: zoo.Examples) -> zoo.Batch:
    return examples.render(examples.read(torch.arange(len(examples))))


def name_of(node: Any) -> str:
    return (
        node if isinstance(node, str) else "-".join(str(node[key]) for key in ("type", "figure", "how") if key in node)
    )


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of published data sets, beside the checkout where ZOO_DATA does not say."""
    home = places.data_home() if (places.data_home() / "MNIST").exists() else SHARED
    monkeypatch.setenv("ZOO_DATA", str(home))
    return home


# Every data set that needs no files.


@pytest.mark.parametrize("node", FILELESS, ids=name_of)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_batch_is_what_the_event_says(node: Any, split: Any) -> None:
    data = dataset(node)
    event, batch = data.event, whole(data.split(split))
    x = batch[event.name]
    assert x.shape[1:] == tuple(event.shape)
    assert ("label" in batch) == (event.classes is not None)
    if event.levels is not None:
        assert x.dtype == torch.uint8
        assert x.min() == 0
        assert x.max() == event.levels - 1
    else:
        assert x.dtype == torch.float32
        assert x.isfinite().all()
    if event.classes is not None:
        assert batch["label"].dtype == torch.int64
        assert sorted(set(batch["label"].tolist())) == list(range(event.classes))
    if event.factors is not None:
        assert batch["factors"].dtype == torch.int64
        assert (batch["factors"].amax(0) < torch.tensor(list(event.factors.values()))).all()


@pytest.mark.parametrize("node", FILELESS, ids=name_of)
def test_splits_are_fixed_and_share_nothing(node: Any) -> None:
    once, again = dataset(node), dataset(node)
    train, test = once.split("train"), once.split("test")
    assert train.fingerprint() == again.split("train").fingerprint()
    assert test.fingerprint() == again.split("test").fingerprint()
    assert train.fingerprint() != test.fingerprint()
    assert not kept(train) & kept(test)


def kept(examples: zoo.Examples) -> set[bytes]:
    """What is kept of each example but its label: what is drawn anew at each use may coincide."""
    batch = examples.read(torch.arange(len(examples)))
    rows = [x.flatten(1) if x.dim() > 1 else x.unsqueeze(1) for name, x in batch.items() if name != "label"]
    return {row.numpy().tobytes() for row in torch.cat([x.double() for x in rows], 1)}


def test_events_need_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    assert dataset("cifar10").event == zoo.Event("image", zoo.Shape(3, 32, 32), levels=256, classes=10)
    assert dataset("mnist").event == zoo.Event("image", zoo.Shape(1, 28, 28), levels=256, classes=10)
    folder = {"type": "image_folder", "train": "absent", "size": 16, "channels": 1, "classes": 3}
    assert dataset(folder).event == zoo.Event("image", zoo.Shape(1, 16, 16), levels=256, classes=3)
    assert dataset({"type": "table", "train": "absent.csv", "dims": 5}).event == zoo.Event("row", zoo.Shape(5))


# Digits.


def test_digits_are_split_by_the_stated_permutation() -> None:
    order = np.random.default_rng(0).permutation(1797)
    bunch = load_digits()
    splits: dict[Any, Any] = {"train": order[:1437], "test": order[1437:]}
    for split, chosen in splits.items():
        batch = whole(dataset("digits").split(split))
        np.testing.assert_array_equal(batch["image"][:, 0].numpy(), bunch.images[chosen])
        np.testing.assert_array_equal(batch["label"].numpy(), bunch.target[chosen])


# Torchvision's sets.


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist", "cifar10"])
def test_missing_files_say_what_to_set(name: str, tmp_path: Path) -> None:
    with pytest.raises(zoo.DataError, match=r"(?s)ZOO_DATA.*'root'.*'download: true'") as caught:
        dataset({"type": name, "root": str(tmp_path)}).split("train")
    assert str(tmp_path) in str(caught.value)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (raw / f"{part}-{kind}-ubyte").write_bytes(b"\x00\x00\x08\x03 no images")
    with pytest.raises(zoo.DataError, match="no usable 'MNIST/raw'"):
        dataset({"type": "mnist", "root": str(tmp_path)}).split("test")


def test_mnist_is_read_from_its_raw_files(published: Path) -> None:
    raw = published / "MNIST" / "raw"
    if not raw.is_dir():
        pytest.skip(f"no MNIST/raw in {published}: set ZOO_DATA")
    test = dataset("mnist").split("test")
    pixels = np.frombuffer((raw / "t10k-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
    labels = np.frombuffer((raw / "t10k-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    batch = whole(test)
    np.testing.assert_array_equal(batch["image"].numpy(), pixels.reshape(10_000, 1, 28, 28))
    np.testing.assert_array_equal(batch["label"].numpy(), labels)


# Images of one's own.


def write_images(root: Path, *, classes: int = 2, each: int = 3, side: tuple[int, int] = (12, 10)) -> None:
    generator = torch.Generator().manual_seed(len(root.name))
    for label in range(classes):
        folder = root / f"class_{label}"
        folder.mkdir(parents=True)
        for number in range(each):
            image = torch.randint(256, (3, *side), dtype=torch.uint8, generator=generator)
            kind, ending = ("jpeg", "jpg") if number % 2 else ("png", "PNG")
            (folder / f"{number}.{ending}").write_bytes(encoded(image, kind))


def encoded(image: torch.Tensor, kind: str = "png", **options: Any) -> bytes:
    """A tensor ``[C, H, W]`` as the bytes of a file."""
    pixels = image.permute(1, 2, 0).squeeze(-1).numpy()
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def archive(folder: Path) -> Path:
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as tar:
        tar.add(folder, arcname=".")
    return path


def folder_of(train: Path, **more: Any) -> zoo.Dataset:
    return dataset({"type": "image_folder", "train": str(train), "size": 8, "classes": 2, **more})


def test_a_folder_and_its_archive_are_the_same_data(tmp_path: Path) -> None:
    write_images(tmp_path / "mine", each=6)
    packed = archive(tmp_path / "mine")
    splits: tuple[Any, ...] = ("train", "test")
    for split in splits:
        loose, tarred = (folder_of(path).split(split) for path in (tmp_path / "mine", packed))
        assert loose.fingerprint() == tarred.fingerprint()
        for name, tensor in whole(loose).items():
            assert torch.equal(tensor, whole(tarred)[name])
    assert whole(folder_of(packed).split("train"))["image"].shape == (11, 3, 8, 8)


def test_lossless_images_come_back_and_labels_follow_folders(tmp_path: Path) -> None:
    for label in range(2):
        (tmp_path / "mine" / f"{'ba'[label]}").mkdir(parents=True)
        image = torch.full((3, 8, 8), 100 + label, dtype=torch.uint8)
        (tmp_path / "mine" / "ba"[label] / "x.png").write_bytes(encoded(image))
    data = folder_of(tmp_path / "mine", test=str(tmp_path / "mine"))
    batch = whole(data.split("train"))
    assert batch["label"].tolist() == [0, 1]
    assert batch["image"].float().mean((1, 2, 3)).tolist() == [101.0, 100.0]


def test_images_read_in_any_order_and_after_pickling(tmp_path: Path) -> None:
    write_images(tmp_path / "mine")
    examples = folder_of(archive(tmp_path / "mine"), test="unused.tar").split("train")
    batch = pickle.loads(pickle.dumps(examples)).read(torch.tensor([4, 0, 4]))
    assert torch.equal(batch["image"], whole(examples)["image"][[4, 0, 4]])
    assert batch["label"].tolist() == [1, 0, 1]


def test_images_are_cut_at_the_centre_and_antialiased() -> None:
    wide = torch.zeros(1, 4, 8, dtype=torch.uint8)
    wide[:, :, 2:6] = 200
    assert (decode(encoded(wide), "L", 4) == 200).all()
    stripes = (torch.arange(64) % 2 * 200).to(torch.uint8).expand(1, 64, 64)
    grey = decode(encoded(stripes), "L", 8)[:, :, 1:-1].float()
    assert (grey - 100).abs().max() < 15  # without antialiasing these would be 0 or 200


def test_large_jpegs_look_as_if_decoded_whole() -> None:
    noise = torch.rand(1, 3, 9, 12, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(noise, (360, 480), mode="bilinear").squeeze(0)
    image = (255 * smooth).to(torch.uint8)
    whole_, part = decode(encoded(image), "RGB", 24), decode(encoded(image, "jpeg", quality=95), "RGB", 24)
    assert whole_.shape == part.shape == (3, 24, 24)
    assert (whole_.int() - part.int()).abs().max() < 8


def test_deep_and_turned_images_are_read_as_meant() -> None:
    deep = io.BytesIO()
    PIL.Image.fromarray(np.array([[0, 65535], [32768, 256]], np.uint16)).save(deep, "png")
    assert decode(deep.getvalue(), "L", 2).tolist() == [[[0, 255], [128, 1]]]
    upright = torch.zeros(3, 16, 16, dtype=torch.uint8)
    upright[:, :8] = 255
    exif = PIL.Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = decode(encoded(upright.flip(1), "jpeg", exif=exif, quality=95), "RGB", 16)
    assert (turned.int() - upright.int()).abs().max() < 8


def test_one_channel_is_grey(tmp_path: Path) -> None:
    write_images(tmp_path / "mine", side=(8, 8))
    grey = whole(folder_of(tmp_path / "mine", channels=1).split("train"))["image"]
    colour = whole(folder_of(tmp_path / "mine", channels=3).split("train"))["image"].float()
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    assert grey.shape[1:] == (1, 8, 8)
    difference = (grey.float() - (colour * luma).sum(1, keepdim=True)).abs()
    assert difference.mean() < 4  # a jpeg's own luminance was rounded before it became colours


def test_without_classes_images_may_lie_anywhere(tmp_path: Path) -> None:
    write_images(tmp_path / "mine", classes=1, each=4)
    data = dataset({"type": "image_folder", "train": str(tmp_path / "mine" / "class_0"), "size": 8})
    assert data.event.classes is None
    assert set(whole(data.split("train"))) == {"image"}


def test_image_faults_are_named(tmp_path: Path) -> None:
    write_images(tmp_path / "mine")
    with pytest.raises(zoo.DataError, match=r"has 2 class folders, expected 5: 'class_0', 'class_1'"):
        folder_of(tmp_path / "mine", classes=5).split("train")
    write_images(tmp_path / "other", classes=3)
    with pytest.raises(zoo.DataError, match="'class_2'"):
        folder_of(tmp_path / "mine", test=str(tmp_path / "other")).split("test")
    with pytest.raises(zoo.SpecError, match="'test_fraction'"):
        folder_of(tmp_path / "mine", test="x", test_fraction=0.5)
    with pytest.raises(zoo.DataError, match="contains no jpeg or png images"):
        (tmp_path / "empty").mkdir()
        folder_of(tmp_path / "empty").split("train")


@pytest.mark.parametrize("content", [b"", b"no image", None], ids=["empty", "text", "cut short"])
def test_a_damaged_image_is_named(tmp_path: Path, content: bytes | None) -> None:
    write_images(tmp_path / "mine")
    bad = tmp_path / "mine" / "class_1" / "1.jpg"
    bad.write_bytes(bad.read_bytes()[:200] if content is None else content)
    examples = folder_of(archive(tmp_path / "mine"), test="unused").split("train")
    with pytest.raises(zoo.DataError, match=r"mine\.tar: the image 'class_1/1\.jpg' is damaged"):
        whole(examples)


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "mine")
    packed = archive(tmp_path / "mine")
    cut = tmp_path / "cut.tar"
    with tarfile.open(packed) as tar:
        last = max((member for member in tar if member.isreg()), key=lambda member: member.offset_data)
    cut.write_bytes(packed.read_bytes()[: last.offset_data + 10])
    with pytest.raises(zoo.DataError, match=r"cut\.tar"):
        folder_of(cut).split("train")
    squeezed = tmp_path / "mine.tar.gz"
    with tarfile.open(squeezed, "w:gz") as tar:
        tar.add(tmp_path / "mine", arcname=".")
    with pytest.raises(zoo.DataError, match="neither a folder nor an uncompressed tar"):
        folder_of(squeezed).split("train")


def test_real_images_from_archives(published: Path) -> None:
    if not (published / "cifar10-test.tar").exists():
        pytest.skip(f"no cifar10-test.tar in {published}: set ZOO_DATA")
    data = folder_of(Path("cifar10-train.tar"), test="cifar10-test.tar", size=32, classes=10)
    train, test = data.split("train"), data.split("test")
    assert (len(train), len(test)) == (10_000, 2_000)
    batch = test.read(torch.tensor([1_999, 0]))
    assert batch["label"].tolist() == [9, 0]
    with tarfile.open(published / "cifar10-test.tar") as tar:
        file = tar.extractfile("test/airplane/0000.jpg")
        assert file is not None
        pixels = np.array(PIL.Image.open(io.BytesIO(file.read())).convert("RGB"))
    np.testing.assert_array_equal(batch["image"][1].permute(1, 2, 0).numpy(), pixels)


# Where files are sought.


def test_paths_are_sought_here_and_in_zoo_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    home.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("ZOO_DATA", str(home))
    with pytest.raises(zoo.DataError, match="set ZOO_DATA") as caught:
        places.locate("x.csv")
    assert str(here) in str(caught.value)
    assert str(home) in str(caught.value)
    (home / "x.csv").touch()
    assert places.locate("x.csv") == home / "x.csv"
    (here / "x.csv").touch()
    assert places.locate("x.csv").resolve() == here / "x.csv"


def test_without_zoo_data_the_cache_is_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert places.data_home() == tmp_path / "zoo" / "data"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert places.data_home() == Path.home() / ".cache" / "zoo" / "data"


def test_held_out_examples_are_the_rest() -> None:
    for n, fraction in ((2, 0.1), (2, 0.99), (101, 0.25)):
        train, test = hold_out(n, fraction, "train"), hold_out(n, fraction, "test")
        assert train
        assert test
        assert sorted(train + test) == list(range(n))
    assert len(hold_out(101, 0.25, "test")) == 25
    with pytest.raises(zoo.DataError, match="set 'test'"):
        hold_out(1, 0.5, "train")


# Tables.


def table(train: Path, **more: Any) -> zoo.Dataset:
    return dataset({"type": "table", "train": str(train), **more})


def saved(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_table_comes_back_from_csv_and_npy(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    lines = "\n".join(",".join(map(repr, row)) for row in rows.tolist())
    named, bare = saved(tmp_path / "named.csv", "a,b,c\n" + lines), saved(tmp_path / "bare.csv", lines + "\n")
    order = hold_out(50, 0.2, "train")
    for data, columns in (
        (table(tmp_path / "rows.npy", test_fraction=0.2), None),
        (table(named, test_fraction=0.2), ("a", "b", "c")),
        (table(bare, header=False, test_fraction=0.2), None),
    ):
        assert data.event == zoo.Event("row", zoo.Shape(3), columns=columns)
        np.testing.assert_array_equal(whole(data.split("train"))["row"].numpy(), rows[order])
        assert len(data.split("test")) == 10


def test_columns_are_chosen_by_name_or_number(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.csv", '"a, b",c\n1,2\n\n3,4\n')
    data = table(path, test=str(path), columns=["c", 0])
    assert whole(data.split("train"))["row"].tolist() == [[2.0, 1.0], [4.0, 3.0]]
    assert data.event.shape == zoo.Shape(2)
    with pytest.raises(zoo.DataError, match=r"no column 'd'; known: a, b, c"):
        table(path, columns=["d"]).split("train")
    with pytest.raises(zoo.SpecError, match="'dims' is 3, but 'columns' chooses 1"):
        table(path, columns=["c"], dims=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", r"x\.csv:3 has 1 columns, expected 2"),
        ("a,b\n1,2\n\n3,4,5\n", r"x\.csv:4 has 3 columns, expected 2"),
        ("a,b\n1,2\n3,wet\n", r"x\.csv:3 column 1 'b' is not a number$"),
        ("a,b\n1,2\nnan,4\n", r"x\.csv:3 column 0 'a' is not a finite number$"),
        ("a,b\n1,2\n1e60,4\n", r"x\.csv:3 column 0 'a' is beyond 3.4e\+38: rescale it$"),
        ("a,b\n1,2\n,4\n", r"x\.csv:3 column 0 'a' is empty"),
        ("1,2\n3,4\n", r"x\.csv:1 has numbers.*header: false"),
        ("a,b\n", r"x\.csv has no rows"),
        ("", r"x\.csv is empty"),
    ],
)
def test_faults_of_a_csv_file_have_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(zoo.DataError, match=message):
        table(saved(tmp_path / "x.csv", text)).split("train")


def test_faults_of_other_tables_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "nan.npy", np.array([[0.0, 1.0], [2.0, np.nan]]))
    with pytest.raises(zoo.DataError, match="row 1, column 1 is not a finite number"):
        table(tmp_path / "nan.npy").split("train")
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    with pytest.raises(zoo.DataError, match=r"float64 \[2, 2, 2\], expected real numbers"):
        _ = table(tmp_path / "cube.npy").event
    np.save(tmp_path / "objects.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(zoo.DataError, match="not an array of numbers"):
        _ = table(tmp_path / "objects.npy").event
    with pytest.raises(zoo.DataError, match=r"expected a name ending in \.csv, \.tsv or \.npy"):
        _ = table(saved(tmp_path / "x.txt", "")).event
    with pytest.raises(zoo.DataError, match="not found"):
        _ = table(tmp_path / "absent.csv").event
    path = saved(tmp_path / "x.csv", "a,b\n1,2\n3,4\n")
    with pytest.raises(zoo.DataError, match="2 columns, expected 7"):
        table(path, dims=7).split("train")
    with pytest.raises(zoo.DataError, match="must be those of"):
        table(path, test=str(saved(tmp_path / "y.csv", "b,a\n1,2\n3,4\n"))).split("test")


# Figures in the plane.


def test_toy_data_depends_on_all_of_its_parameters() -> None:
    base = {"type": "toy2d", "figure": "two_moons", "size": 100}
    variants = [base, base | {"seed": 1}, base | {"noise": 0.2}, base | {"figure": "rings"}, base | {"size": 99}]
    prints = {dataset(node).split("train").fingerprint() for node in variants}
    assert len(prints) == len(variants)


def test_curves_need_noise_and_areas_do_not() -> None:
    with pytest.raises(zoo.SpecError, match="has no density without noise"):
        dataset({"type": "toy2d", "figure": "rings", "noise": 0.0})
    x = whole(dataset({"type": "toy2d", "figure": "checkerboard", "noise": 0.0}).split("train"))["point"]
    square = ((x + 4.0) / 2.0).floor().long()
    assert sorted(set(square.flatten().tolist())) == [0, 1, 2, 3]
    assert (square.sum(1) % 2 == 0).all()
    counts = (square[:, 0] * 4 + square[:, 1]).bincount(minlength=16)
    assert (counts > 0).sum() == 8
    assert (counts[counts > 0] - 2500).abs().max() < 5 * math.sqrt(2500)


@pytest.mark.parametrize(
    ("figure", "radii", "share"),
    [("eight_gaussians", [2.0 * math.sqrt(2.0)], 1.0), ("rings", [0.75, 1.5, 2.25, 3.0], 0.25)],
)
def test_figures_have_their_radii(figure: str, radii: list[float], share: float) -> None:
    x = whole(dataset({"type": "toy2d", "figure": figure, "noise": 0.001}).split("train"))["point"]
    near = [((x.norm(dim=1) - radius).abs() < 0.01).float().mean().item() for radius in radii]
    assert near == pytest.approx([share] * len(radii), abs=0.02)


def test_two_moons_are_half_circles() -> None:
    x = whole(dataset({"type": "toy2d", "figure": "two_moons", "noise": 0.001}).split("train"))["point"]
    upper = ((x.norm(dim=1) - 1.0).abs() < 0.01) & (x[:, 1] > -0.01)
    lower = (((x - torch.tensor([1.0, 0.5])).norm(dim=1) - 1.0).abs() < 0.01) & (x[:, 1] < 0.51)
    assert (upper | lower).all()
    assert 0.48 < upper.float().mean() < 0.52
    assert x[upper, 0].mean().item() == pytest.approx(0.0, abs=0.04)
    assert x[upper, 1].mean().item() == pytest.approx(2.0 / math.pi, abs=0.02)


def test_spirals_are_two_arms() -> None:
    x = whole(dataset({"type": "toy2d", "figure": "spirals", "noise": 0.001}).split("train"))["point"]
    t = 3.0 * x.norm(dim=1)
    arm = torch.stack([-t.cos(), t.sin()], 1) * t[:, None] / 3.0
    off = torch.minimum((x - arm).norm(dim=1), (x + arm).norm(dim=1))
    assert off.max() < 0.2
    assert 0.45 < ((x - arm).norm(dim=1) < off + 1e-6).float().mean() < 0.55


def test_pinwheel_has_five_like_arms() -> None:
    x = whole(dataset({"type": "toy2d", "figure": "pinwheel", "noise": 0.0, "size": 100_000}).split("train"))["point"]
    z = torch.view_as_complex(x.double())
    assert (z**5).mean().abs() > 10 * (z**4).mean().abs()
    assert z.abs().square().mean().item() == pytest.approx(4.0 * (1.0 + 0.3**2 + 0.1**2), rel=0.02)


@pytest.mark.parametrize("figure", ["banana", "funnel", "student_t"])
def test_figures_in_closed_form_have_their_entropy(figure: str) -> None:
    """Draws have the density that is said, and the density has the entropy that is said."""
    node = {"type": "toy2d", "figure": figure, "noise": 0.0, "test_size": 200_000}
    log_p = curved.KNOWN[figure].log_density(whole(dataset(node).split("test"))["point"].double())
    assert abs(-log_p.mean() - curved.KNOWN[figure].entropy) < 4 * log_p.std() / math.sqrt(len(log_p))
    assert f"{curved.KNOWN[figure].entropy:.4f}" in str(curved.__doc__)


def test_the_density_of_students_t_integrates_to_one() -> None:
    x = torch.linspace(-80.0, 80.0, 1601, dtype=torch.float64)
    p = curved.KNOWN["student_t"].log_density(torch.cartesian_prod(x, x)).exp()
    assert (p.sum() * 0.01).item() == pytest.approx(1.0, abs=1e-5)


# The density of two moons.


def grid(noise: float, spacing: float) -> tuple[torch.Tensor, float]:
    x = torch.arange(-1.0 - 8 * noise, 2.0 + 8 * noise, spacing, dtype=torch.float64)
    y = torch.arange(-0.5 - 8 * noise, 1.0 + 8 * noise, spacing, dtype=torch.float64)
    points = torch.cartesian_prod(x, y)
    log_p = torch.cat([two_moons.log_density(chunk, noise) for chunk in torch.split(points, 4096)])
    return log_p, spacing**2


def test_the_density_of_two_moons_integrates_to_one_and_to_its_entropy() -> None:
    log_p, cell = grid(noise=0.1, spacing=0.04)
    assert (log_p.exp().sum() * cell).item() == pytest.approx(1.0, abs=1e-6)
    exact = -(log_p.exp() * log_p).sum().item() * cell
    nats, error = two_moons.entropy(0.1, draws=20_000)
    assert error < 0.01
    assert abs(nats - exact) < 4 * error
    assert abs(nats - exact) < 0.03


def test_the_density_of_two_moons_is_that_of_the_data() -> None:
    x = whole(dataset({"type": "toy2d", "figure": "two_moons"}).split("test"))["point"]
    log_p = torch.cat([two_moons.log_density(chunk, 0.1) for chunk in torch.split(x[:4000], 2000)])
    exact, cell = grid(noise=0.1, spacing=0.04)
    entropy = -(exact.exp() * exact).sum() * cell
    assert abs(-log_p.mean() - entropy) < 4 * log_p.std() / math.sqrt(len(log_p))


def test_the_quadrature_agrees_with_a_sum_over_draws() -> None:
    x = torch.tensor([[0.3, 0.9], [1.0, -0.4], [0.5, 0.25]], dtype=torch.float64)
    noise = 0.3
    centres = torch.from_numpy(two_moons.arcs(np.random.default_rng(5), 400_000))
    squares = (x[:, None] - centres).square().sum(-1)
    kernel = (-squares / (2 * noise**2)).exp() / (2 * math.pi * noise**2)
    torch.testing.assert_close(two_moons.log_density(x, noise).exp(), kernel.mean(1), rtol=0.01, atol=0.0)
    with pytest.raises(ValueError, match="requires noise above 0"):
        two_moons.log_density(x, 0.0)
