"""Views of codes: what each picture shows, and where it says that there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner, Result

import zoo
from zoo.assembly import build as assembly
from zoo.cli.app import app
from zoo.inference.views import first_examples
from zoo.plot.images import image_grid, image_groups
from zoo.share.file import export
from zoo.spec import load_spec

SIDE = 48
"""Images of this side are drawn without being enlarged."""
EVENT = zoo.Event("image", zoo.Shape(1, SIDE, SIDE))
LEFT, RIGHT = slice(0, SIDE // 2), slice(SIDE // 2, SIDE)


class Halves(zoo.Model, zoo.Reconstructs):
    """The two numbers of a code are the shades of an image's halves, as 0.5 + z / 8."""

    def __init__(self, event: zoo.Event = EVENT) -> None:
        super().__init__(event)
        self.like = torch.nn.Parameter(torch.zeros(()))

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(self.like * 0.0, {})

    def encode(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        code = 8.0 * (torch.stack([x[..., LEFT].mean((1, 2, 3)), x[..., RIGHT].mean((1, 2, 3))], 1) - 0.5)
        return code if context is None else code + context["label"].unsqueeze(1)

    def expect(self, z: Tensor, context: zoo.Condition | None = None) -> Tensor:
        z = z if context is None else z - context["label"].unsqueeze(1)
        return (0.5 + z / 8.0).repeat_interleave(SIDE // 2, 1).reshape(-1, 1, 1, SIDE).expand(-1, 1, SIDE, SIDE)


class Divergent(Halves, zoo.VariationalBound):
    """Tells its dimensions apart: the second number says the most, though it varies less."""

    def terms(self, x: Tensor, context: zoo.Condition | None = None) -> zoo.LatentTerms:
        kl_dim = torch.tensor([[1.0, 2.5]]).expand(x.shape[0], 2)
        return zoo.LatentTerms(kl_dim.sum(1), kl_dim.sum(1), kl_dim, x[0].numel())

    def log_weights(self, x: Tensor, n: int, context: zoo.Condition | None = None) -> Tensor:
        return -self.terms(x).kl.expand(n, -1)


class Given(Halves):
    """A model of data given a label, which its codes have to be read with."""

    conditioned_on = "label"


class Bare(zoo.Model):
    """Has no codes."""

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        raise NotImplementedError


@pytest.fixture
def unit() -> zoo.Event:
    return zoo.Event("image", zoo.Shape(1, SIDE, SIDE), range=(0.0, 1.0), classes=3)


def view(name: str, model: zoo.Model, **parameters: Any) -> zoo.View:
    built: zoo.View = zoo.declare(zoo.View, {"type": name, **parameters})(model)
    return built


def examples(codes: list[list[float]]) -> Tensor:
    return Halves().expect(torch.tensor(codes)).contiguous()


def codes_in(image: Tensor, rows: int, columns: int) -> Tensor:
    """The codes that a picture of images shows, ``[rows, columns, 2]``, captions left away."""
    tile = SIDE + 2
    image = image[:, :, image.shape[2] - columns * tile - 2 :].double()[0] / 255
    assert image.shape == (rows * tile + 2, columns * tile + 2)
    found = torch.stack([image[r * tile + 25, 14::tile][:columns] for r in range(rows)])
    other = torch.stack([image[r * tile + 25, 38::tile][:columns] for r in range(rows)])
    return 8.0 * (torch.stack([found, other], -1) - 0.5)


def test_data_stands_above_its_reconstruction(unit: zoo.Event) -> None:
    data = {"image": examples([[1.0, -1.0], [2.0, 0.0], [3.0, 3.0]])}
    data["image"][..., :4, :] = 0.0  # a stripe that no code keeps
    shown = view("reconstruct", Halves(unit)).draw(2, 1.0, data)
    above, below = codes_in(shown, 2, 2)
    model = Halves(unit)
    assert torch.allclose(below, model.encode(data["image"][:2]).double(), atol=0.05)
    assert torch.allclose(above, torch.tensor([[1.0, -1.0], [2.0, 0.0]]).double(), atol=0.05)


class Dimmed(zoo.Model, zoo.Samples):
    """Draws its condition at half the brightness, with the sides of the data."""

    conditioned_on = "small"

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        raise NotImplementedError

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        assert context is not None
        return (context["small"].repeat_interleave(2, 2).repeat_interleave(2, 3) // 2).to(torch.uint8)


def test_translations_stand_below_their_conditions_and_above_the_data() -> None:
    small = zoo.Event("small", zoo.Shape(1, SIDE // 2, SIDE // 2), levels=256)
    model = Dimmed(zoo.Event("image", zoo.Shape(1, SIDE, SIDE), levels=256, also=(small,)))
    shades = torch.tensor([200, 100], dtype=torch.uint8)
    data = {
        "small": shades.reshape(2, 1, 1, 1).expand(-1, *small.shape),
        "image": (shades // 4).reshape(2, 1, 1, 1).expand(-1, *model.event.shape),
    }
    tile = SIDE + 2
    picture = view("translations", model).draw(2, 1.0, data)[0, :, -2 * tile - 2 :]
    assert picture.shape[0] == 3 * tile + 2
    assert picture[25::tile, 25::tile][:3, :2].tolist() == [[200, 100], [100, 50], [50, 25]]


@pytest.mark.parametrize(
    ("model", "message"),
    [(Halves(EVENT), "needs a model that samples, but 'Halves' does not"), (Bare(EVENT), "needs a model that samples")],
)
def test_models_that_do_not_translate_have_no_such_view(model: zoo.Model, message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        view("translations", model)


def test_many_examples_break_into_rows_and_blanks_are_white(unit: zoo.Event) -> None:
    """Of 20 examples seven are in a row, each above its reconstruction, and the last place is empty."""
    data = {"image": examples([[-4.0, -4.0]] * 20)}
    picture = view("reconstruct", Halves(unit)).draw(20, 1.0, data)
    pair = 2 * (SIDE + 2)
    assert picture.shape[1] == 3 * pair + 2 * 10 + 2
    for row in range(3):
        top = row * (pair + 10)
        shown = codes_in(picture[:, top : top + pair + 2], 2, 7)
        assert (shown[:, :6] < 0).all()
        assert (shown[:, 6] < 0).all() if row < 2 else (shown[:, 6] == 4.0).all()


def test_a_traversal_sweeps_each_number_alone_around_an_example(unit: zoo.Event) -> None:
    data = {"image": examples([[1.0, -1.0], [3.0, -1.5], [-3.0, 0.0]])}
    shown = codes_in(view("traverse", Halves(unit), reach=2.0, steps=5).draw(1, 1.0, data), 2, 5)
    sweep = torch.linspace(-2.0, 2.0, 5, dtype=torch.float64)
    assert torch.allclose(shown[0], torch.stack([sweep, torch.full((5,), -1.0)], 1).double(), atol=0.05)
    assert torch.allclose(shown[1], torch.stack([torch.full((5,), 1.0), sweep], 1).double(), atol=0.05)


@pytest.mark.parametrize(("model", "first"), [(Halves, 0), (Divergent, 1)])
def test_the_dimension_that_says_the_most_is_first(model: type[Halves], first: int, unit: zoo.Event) -> None:
    """By the divergence where the model tells it apart, else by the variance of the codes, here of the first."""
    data = {"image": examples([[1.0, -1.0], [3.0, -1.5], [-3.0, 0.0]])}
    shown = codes_in(view("traverse", model(unit), steps=2, most=1).draw(1, 1.0, data), 1, 2)
    assert (shown[0, 1] - shown[0, 0]).abs()[first] > 5.9


def test_without_data_a_traversal_starts_from_zero_in_natural_order(unit: zoo.Event) -> None:
    shown = codes_in(view("traverse", Divergent(unit), steps=3).draw(1, 1.0), 2, 3)
    sweep = torch.tensor([-3.0, 0.0, 3.0]).double()
    for dimension in range(2):
        assert torch.allclose(shown[dimension, :, dimension], sweep, atol=0.05)
        assert shown[dimension, :, 1 - dimension].abs().max() < 0.05


def test_an_interpolation_goes_from_one_example_to_the_other(unit: zoo.Event) -> None:
    data = {"image": examples([[1.0, -1.0], [3.0, 3.0], [0.0, 0.0], [-3.0, 2.0], [1.0, 1.0]])}
    shown = codes_in(view("interpolate", Halves(unit), steps=3).draw(100, 1.0, data), 2, 3)
    expected = [[[1.0, -1.0], [2.0, 1.0], [3.0, 3.0]], [[0.0, 0.0], [-1.5, 1.0], [-3.0, 2.0]]]
    assert torch.allclose(shown, torch.tensor(expected).double(), atol=0.05)


def test_a_manifold_is_of_equal_probabilities(unit: zoo.Event) -> None:
    shown = codes_in(view("manifold", Halves(unit)).draw(24, 1.0), 4, 4)
    for row in shown:  # the first number grows to the right
        assert torch.allclose(_normal(row[:, 0]), torch.tensor([1.0, 3.0, 5.0, 7.0]).double() / 8, atol=0.01)
    for column in shown.transpose(0, 1):  # the second one upwards
        assert torch.allclose(_normal(column[:, 1]), torch.tensor([7.0, 5.0, 3.0, 1.0]).double() / 8, atol=0.01)


def _normal(z: Tensor) -> Tensor:
    return 0.5 * (1.0 + torch.erf(z / math.sqrt(2.0)))


def test_a_conditional_model_is_told_what_its_data_is_given(unit: zoo.Event) -> None:
    data = {"image": examples([[1.0, -1.0], [2.0, 0.0]]), "label": torch.tensor([0, 2])}
    above, below = codes_in(view("reconstruct", Given(unit)).draw(2, 1.0, data), 2, 2)
    assert torch.allclose(above, below, atol=0.05)
    data = {name: tensor.flip(0) for name, tensor in data.items()}  # around the example of label 2
    shown = codes_in(view("traverse", Given(unit), reach=1.0, steps=3).draw(1, 1.0, data), 2, 3)
    assert torch.allclose(shown[:, 1].mean(0), torch.tensor([-1.0, -1.0]).double(), atol=1.1)
    assert torch.allclose(shown.diff(dim=1).sum((0, 1)), torch.tensor([2.0, 2.0]).double(), atol=0.05)


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [
        ("reconstruct", Bare(EVENT), "needs a model that reconstructs, but 'Bare' does not"),
        ("traverse", Bare(EVENT), "needs a model that reconstructs"),
        ("interpolate", Given(), "needs an unconditional model; this one is conditioned on its label"),
        ("manifold", Given(), "unconditional"),
    ],
)
def test_what_a_view_is_not_of(name: str, model: zoo.Model, message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        view(name, model)


def test_points_are_no_images() -> None:
    with pytest.raises(zoo.SpecError, match="needs images of one or three channels, got 'point' of shape 2"):
        view("reconstruct", flow_of("realnvp-2d"))


def test_a_manifold_is_of_two_numbers() -> None:
    with pytest.raises(zoo.SpecError, match="view 'manifold': needs codes of two numbers, got 64"):
        view("manifold", tiny_flow())


@pytest.mark.parametrize("name", ["reconstruct", "interpolate"])
def test_some_views_need_data(name: str, unit: zoo.Event) -> None:
    with pytest.raises(ValueError, match="use a run, or set data"):
        view(name, Halves(unit)).draw(4, 1.0)
    with pytest.raises(ValueError, match="needs data: the model is conditioned on its label"):
        view("traverse", Given(unit)).draw(4, 1.0)


def test_image_grids_blank_what_is_not_finite() -> None:
    images = torch.zeros(2, 1, SIDE, SIDE)
    images[1] = torch.nan
    drawn = image_grid(images, zoo.Event("image", zoo.Shape(1, SIDE, SIDE), range=(0.0, 1.0)), 2)
    assert drawn[0, 25, 25] == 0 and (drawn[:, :, SIDE + 2 :] == 255).all()


# -- flows ------------------------------------------------------------------------------------------------------------


def tiny_spec(**train: Any) -> zoo.Spec:
    """A flow on digits, with views."""
    settings = {"steps": 4, "batch": 8, "optimizer": {"type": "adam", "lr": 0.001}, "checkpoint_every": None} | train
    return load_spec(
        {
            "name": "tiny",
            "data": "digits",
            "model": {
                "type": "flow",
                "base": "standard_normal",
                "dequantize": "uniform",
                "transforms": [{"type": "logit", "alpha": 0.05}, "act_norm"],
            },
            "train": settings,
            "engine": {"device": "cpu", "compile": "off"},
            "sample": {"n": 12},
        }
    )


def tiny_flow() -> zoo.Model:
    return zoo.build(tiny_spec()).eval()


def flow_of(name: str) -> zoo.Model:
    return zoo.build(load_spec(name)).eval()


@torch.no_grad()
def test_a_flow_expects_the_data_that_it_encoded() -> None:
    model = tiny_flow()
    assert isinstance(model, zoo.Reconstructs)
    x = model.event.example(4, "cpu")["image"]
    assert torch.equal(model.reconstruct(x), model.event.unit(x))
    points = flow_of("realnvp-2d")
    assert isinstance(points, zoo.Reconstructs)
    x = torch.randn(5, 2)
    assert torch.allclose(points.reconstruct(x), x, atol=1e-4)


# -- in a run, and of a run -------------------------------------------------------------------------------------------

DRAWN = {"sample_every": 2, "views": ["reconstruct", {"type": "traverse", "steps": 4, "most": 3}]}


def invoke(*args: object) -> Result:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.train(tiny_spec(**DRAWN), runs=tmp_path_factory.mktemp("runs"), name="one").directory


def pixels(path: Path) -> Any:
    return np.asarray(Image.open(path))


def test_a_run_draws_its_views_beside_the_samples(run: Path, tmp_path: Path) -> None:
    drawn = {path.name for path in (run / "samples").iterdir()}
    expected = {f"{name}step-{step}.png" for name in ("", "reconstruct-", "traverse-") for step in (2, 4)}
    assert drawn == expected
    again = zoo.train(tiny_spec(**DRAWN), runs=tmp_path).directory
    for name in expected:
        assert (run / "samples" / name).read_bytes() == (again / "samples" / name).read_bytes()


def test_views_do_not_disturb_training(run: Path, tmp_path: Path) -> None:
    plain = zoo.train(tiny_spec(), runs=tmp_path).directory
    assert (plain / "metrics.jsonl").read_text() == (run / "metrics.jsonl").read_text()


@pytest.mark.parametrize("validation", [0.0, 0.5])
def test_a_view_is_of_what_was_held_out_or_else_trained_on(validation: float, tmp_path: Path) -> None:
    from zoo.data.batches import sources

    spec = tiny_spec(**DRAWN, validation=validation)
    kept, held = sources(spec.data().split("train"), validation, torch.device("cpu"))
    shown = first_examples(held if validation else kept, 32)
    assert shown is not None
    alone = image_groups(torch.stack([shown["image"] / 16] * 2, dim=1).unsqueeze(2), tiny_flow().event)
    drawn = pixels(zoo.train(spec, runs=tmp_path).directory / "samples" / "reconstruct-step-4.png")
    rows = torch.from_numpy(drawn.copy()).permute(2, 0, 1)[:, :, -alone.shape[2] :]
    assert torch.equal(rows, alone)  # a flow gives back what it was given


def test_the_declared_view_is_drawn_of_a_run(run: Path, tmp_path: Path) -> None:
    columns = {}
    for name, change in {"spec": [], "changed": ["--set", "train.views=[{type: traverse, steps: 2, most: 5}]"]}.items():
        assert invoke("sample", run, "--view", "traverse", "-o", tmp_path / f"{name}.png", *change).exit_code == 0
        columns[name] = pixels(tmp_path / f"{name}.png").shape
    assert columns["spec"][0] == 3 * 50 + 2 and columns["changed"][0] == 5 * 50 + 2
    assert 1.5 < columns["spec"][1] / columns["changed"][1] < 2.0
    assert invoke("sample", run, "--view", "interpolate", "-n", 9, "-o", tmp_path / "i.png").exit_code == 0
    assert pixels(tmp_path / "i.png").shape[:2] == (52, 452)


@pytest.mark.parametrize(
    ("words", "n"),
    [
        (["--view", "reconstruct"], 32),
        (["--view", "reconstruct", "-n", "3"], 3),
        (["--view", "reconstruct", "--set", "train.views=[{type: reconstruct, n: 5}]"], 5),
        (["--view", "traverse"], 12),
    ],
)
def test_a_view_has_a_number_of_its_own(run: Path, tmp_path: Path, words: list[str], n: int) -> None:
    """What is asked for comes first, then the declared view's number, then that of the spec."""
    drawn = invoke("sample", run, *words, "-o", tmp_path / "x.png", "--json")
    assert json.loads(drawn.stdout)["n"] == n
    if "reconstruct" in words:
        height, width, _ = pixels(tmp_path / "x.png").shape
        pairs = (height - 2 + 10) // 110 * ((width - 2) // 50)
        assert n <= pairs < 2 * n


def test_what_a_view_says_is_a_users_error(run: Path, tmp_path: Path) -> None:
    for target, view_, message in (
        (run, "manifold", "error: view 'manifold': needs codes of two numbers, got 64"),
        (run / "model.safetensors", "reconstruct", "error: view 'reconstruct': needs data to reconstruct"),
    ):
        result = invoke("sample", target, "--view", view_, "-o", tmp_path / "x.png")
        assert result.exit_code == 2 and message in result.stderr
    chosen = ["--set", "data=digits"]
    target = run / "model.safetensors"
    assert invoke("sample", target, "--view", "reconstruct", "-o", tmp_path / "x.png", *chosen).exit_code == 0


def test_a_run_without_its_data_says_why(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*given: object) -> None:
        raise zoo.DataError("there is no 'digits' here: set ZOO_DATA")

    monkeypatch.setattr("zoo.inference.views.held_out", gone)
    result = invoke("sample", run, "--view", "reconstruct", "-o", tmp_path / "x.png")
    assert result.exit_code == 2
    assert "or set data; the run's own data is not available: there is no 'digits' here: set ZOO_DATA" in result.stderr
    assert invoke("sample", run, "--view", "traverse", "-o", tmp_path / "x.png").exit_code == 0  # it needs none


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"views": ["traverse"]}, r"train\.views.*needs train\.sample_every"),
        ({"sample_every": 1, "views": ["traverse", {"type": "traverse", "steps": 3}]}, "has 'traverse' 2 times"),
        ({"sample_every": 1, "views": ["manifold"]}, r"<spec>:\d+:\d+  train\.views\[0\].*two numbers, got 64"),
        ({"sample_every": 1, "views": [{"type": "traverse", "steps": 10**9}]}, "less than or equal to 100"),
    ],
)
def test_a_view_that_cannot_be_is_told_before_training(train: Mapping[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        assembly.check(tiny_spec(**train))


def test_a_model_that_encodes_need_not_sample() -> None:
    spec = tiny_spec(sample_every=1)
    with pytest.raises(zoo.SpecError, match="does not sample"):
        raise zoo.SpecError(list(assembly.check_pictures(Halves(), spec)))
    assert not list(assembly.check_pictures(Halves(), tiny_spec(sample_every=1, views=["reconstruct"])))


def test_a_share_file_keeps_its_views(tmp_path: Path) -> None:
    spec = tiny_spec(**DRAWN)
    file = export(tmp_path / "x.safetensors", spec, zoo.build(spec).eval(), step=0, data=None)
    told = json.loads(invoke("verify", file, "--json").stdout)
    assert {"view"} <= {part["kind"] for part in told["components"]}
    assert invoke("sample", file, "--view", "traverse", "-o", tmp_path / "x.png").exit_code == 0
    assert pixels(tmp_path / "x.png").shape[0] == 3 * 50 + 2
