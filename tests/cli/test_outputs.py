"""The files that commands write: of the form that their ending says, and never in place of a run's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from toy_table import TOY, invoke

import zoo
from zoo.errors import UsageError
from zoo.inference.sample import Thinned, draw
from zoo.inference.views import draw_picture
from zoo.plot.images import MOST_IMAGES, grid, shown_of
from zoo.registry.outputs import ending, output
from zoo.run.directory import new_directory
from zoo.storage.atomic import write_new, write_whole

WRITERS = {
    "build": (["build", "toy.yaml"], ".safetensors"),
    "export": (["export", "RUN"], ".safetensors"),
    "export --format": (["export", "RUN", "--format", "torchscript"], ".pt"),
    "sample": (["sample", "RUN", "-n", "9"], ".npy"),
    "sample --density": (["sample", "RUN", "--density"], ".png"),
    "encode": (["encode", "RUN"], ".npy"),
    "schema": (["schema"], ".json"),
    "table": (["table", "table.yaml"], ".md"),
}
"""Every command that writes one file, and an ending that it writes."""


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("rows.csv").write_text("a,b\n1,2\n3,5\n2,2\n4,1\n")
        Path("toy.yaml").write_text(TOY)
        Path("table.yaml").write_text("name: one\nrows: [{spec: toy.yaml}]\n")
        zoo.train("toy.yaml", name="x")
        yield folder


RUN = "runs/toy/x"


def write(name: str, path: str) -> tuple[int, str]:
    words, _ = WRITERS[name]
    result = invoke(*(word.replace("RUN", RUN) for word in words), "-o", path)
    return result.exit_code, result.stderr


def held(run: Path = Path(RUN)) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", WRITERS)
def test_no_file_of_a_run_is_overwritten(name: str) -> None:
    before = held()
    for path in [*before, f"{RUN}/../x/resolved.yaml"]:
        code, said = write(name, path)
        assert code == 2, (path, said)
        assert "must end in" in said or f"{path} is a file of the run" in said
    assert held() == before


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_is_written_under_an_ending_of_another_form(name: str) -> None:
    for path in ("x.pth", "x", "x.yaml", "x.safetensors.bak", "rows.csv.gz"):
        code, said = write(name, path)
        assert (code, "must end in" in said) == (2, True), path
        assert not Path(path).exists()


@pytest.mark.parametrize("name", sorted(WRITERS.keys() - {"encode", "table"}))
def test_an_ending_may_be_in_capitals_and_a_link_stays(name: str, tmp_path: Path) -> None:
    path, target = tmp_path / f"LINK{WRITERS[name][1].upper()}", tmp_path / f"target{WRITERS[name][1]}"
    path.symlink_to(target)
    code, said = write(name, str(path))
    assert code == 0, said
    assert path.is_symlink()
    assert target.stat().st_size > 0


def test_a_link_into_a_run_is_no_way_around() -> None:
    Path("link.json").symlink_to(f"{RUN}/run.json")
    with pytest.raises(UsageError, match=r"link\.json is a file of the run .*runs/toy/x: choose another output"):
        output(Path("link.json"), [".json"])
    Path("other.json").symlink_to("other.txt")
    with pytest.raises(UsageError, match=r"'other\.json' is a link to .*other\.txt, which must end in \.json"):
        output(Path("other.json"), [".json"])
    Path("loop.json").symlink_to("loop.json")
    with pytest.raises(UsageError, match=r"loop\.json cannot be written"):
        output(Path("loop.json"), [".json"])


def test_a_new_file_beside_a_run_is_no_harm() -> None:
    assert output(Path(RUN, "mine.png"), [".png"]) == Path(RUN, "mine.png")
    assert output(Path("runs/mine.png"), [".png"]) == Path("runs/mine.png")
    assert ending(Path("a.PNG")) == ".png"


def test_a_new_file_takes_the_place_of_no_link(tmp_path: Path) -> None:
    link = tmp_path / "x"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="already exists"):
        write_new(link, lambda aside: aside.write_text("x"))
    assert link.is_symlink()
    write_whole(link, lambda aside: aside.write_text("x"))  # zoo's own files: no link leads them out of their folder
    assert not link.is_symlink()


@pytest.mark.parametrize(
    "name", ["..", ".", ".hidden", "-x", "@last", "~", "a/b", "../x", "a b", "n" * 129, "hf://a", "\x1b"]
)
def test_what_is_no_name_of_a_run(name: str) -> None:
    with pytest.raises(UsageError, match="invalid run name"):
        new_directory(zoo.load_spec("toy.yaml"), Path("runs"), name)
    assert sorted(Path("runs").iterdir()) == [Path("runs/toy")]


@pytest.mark.parametrize("name", ["x1", "β-vae_2", "lr=1e-3", "slurm-17", "a.b", "n" * 128])
def test_what_is_a_name_of_a_run(name: str) -> None:
    assert new_directory(zoo.load_spec("toy.yaml"), Path("runs"), name) == Path("runs/toy", name)


class Dots(zoo.Model, zoo.Samples):
    """Draws black images."""

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        raise NotImplementedError

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> torch.Tensor:
        return torch.zeros(n, *self.event.shape)


def test_a_picture_has_room_for_so_many_images(tmp_path: Path) -> None:
    model = Dots(zoo.Event("image", zoo.Shape(1, 4, 4), levels=2))
    with pytest.warns(
        Thinned,
        match=rf"x\.png shows {MOST_IMAGES} of 20000 draws: write a \.npy, \.npz, \.pt, \.csv or \.jsonl file to get",
    ):
        drawn = draw(model, tmp_path / "x.png", n=20_000, temperature=1.0, seed=0)
    assert len(drawn["image"]) == MOST_IMAGES
    assert max(Image.open(tmp_path / "x.png").size) < 2000
    assert len(draw(model, tmp_path / "x.npy", n=20_000, temperature=1.0, seed=0)["image"]) == 20_000
    with pytest.raises(
        UsageError, match=f"a picture has room for {MOST_IMAGES} images, got 20000: choose fewer with -n"
    ):
        draw_picture(_unasked, model, tmp_path / "y.png", n=20_000, temperature=1.0, seed=0, data=None)
    assert shown_of(20_000, zoo.Event("row", zoo.Shape(2))) == 20_000, "points are counted, not drawn one by one"
    assert grid(torch.zeros(4, 1, 4, 4)).shape == (3, 102, 102)


def _unasked(*_: object) -> torch.Tensor:
    raise AssertionError("refused before anything is drawn")
