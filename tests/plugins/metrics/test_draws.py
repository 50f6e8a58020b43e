"""Metrics of draws: closed forms, small sets by enumeration, other packages, and what is refused."""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import zoo
from zoo.data.batches import held_out
from zoo.inference.evaluate import measure
from zoo.share.file import export

distances = import_module("zoo.plugins.metrics.samples.distances")
features = import_module("zoo.plugins.metrics.samples.features")
draws = import_module("zoo.plugins.metrics.samples.draws")

POINT = zoo.Event("point", zoo.Shape(2), classes=3)
NAMES = ["frechet_distance", "kernel_distance", "precision_recall", "density_coverage"]


class Drawn(zoo.Model, zoo.Samples):
    """Draws normal points around a place."""

    def __init__(self, event: zoo.Event = POINT, place: float = 0.0) -> None:
        super().__init__(event)
        self.place, self.asked = torch.nn.Parameter(torch.tensor(place)), 0

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(torch.zeros(()), {})

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        self.asked += n
        return self.place + torch.randn(n, *self.event.shape)


class Levels(Drawn):
    """Draws levels."""

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        return torch.randint(self.event.levels or 2, (n, *self.event.shape))


class Repeated(Drawn):
    """Draws the label that it is given."""

    conditioned_on = "label"

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        assert context is not None and len(context["label"]) == n
        return context["label"].float()[:, None].expand(n, 2) * 10.0


class Mute(zoo.Model):
    """Does not sample."""

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(torch.zeros(()), {})


def metric(name: str, **values: Any) -> Any:
    return zoo.declare(zoo.Metric, {"type": name, **values})()


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def cloud(n: int, seed: int, size: int = 6) -> Tensor:
    noise = torch.Generator().manual_seed(seed)
    scale = torch.arange(1, size + 1, dtype=torch.float64)
    return torch.randn(n, size, generator=noise, dtype=torch.float64) * scale + 0.3 * seed


def points(n: int, size: int = 50) -> list[zoo.Batch]:
    x, label = torch.randn(n, 2, generator=torch.Generator().manual_seed(1)), torch.arange(n) % 3
    both = zip(torch.split(x, size), torch.split(label, size), strict=True)
    return [{"point": some, "label": labels} for some, labels in both]


# -- the figures ------------------------------------------------------------------------------------------------------


def test_the_frechet_distance_of_normal_distributions_that_commute_has_a_closed_form() -> None:
    """For diagonal covariances: the squared distances of means and of standard deviations, in any basis."""
    mu, nu = torch.tensor([1.0, -2.0, 0.0]).double(), torch.tensor([0.0, 2.0, 0.5]).double()
    s, t = torch.tensor([1.0, 3.0, 0.0]).double(), torch.tensor([2.0, 0.5, 4.0]).double()
    turned = torch.linalg.qr(cloud(3, 5, 3)).Q
    expected = ((mu - nu).square().sum() + (s - t).square().sum()).item()
    for basis in (torch.eye(3).double(), turned):
        sigma, other = (basis @ torch.diag(scale.square()) @ basis.T for scale in (s, t))
        found = distances.frechet_distance(basis @ mu, sigma, basis @ nu, other)
        assert found == pytest.approx(expected, rel=1e-7)


def test_the_kernel_distance_is_unbiased_by_hand() -> None:
    """Two numbers a side: k(x, y) = (xy + 1)^3."""
    x, y = (1.0, 2.0), (0.0, 3.0)
    within = (1 * 2 + 1) ** 3 + (0 * 3 + 1) ** 3
    across = sum((a * b + 1) ** 3 for a in x for b in y)
    expected = within - across / 2
    assert metric("kernel_distance").compare(column(*x), column(*y)) == {"kernel_distance": pytest.approx(expected)}


def test_the_kernel_distance_has_the_standard_error_of_its_parts() -> None:
    x, y = cloud(64, 1), cloud(64, 2)
    whole, parts = metric("kernel_distance", subset=33), metric("kernel_distance", subset=16)
    both = zip(torch.split(x, 16), torch.split(y, 16), strict=True)
    found = [whole.compare(a, b)["kernel_distance"] for a, b in both]
    assert parts.compare(x, y)["kernel_distance"] == pytest.approx(np.mean(found))
    assert parts.standard_errors(x, y)["kernel_distance"] == pytest.approx(np.std(found, ddof=1) / 2)
    assert whole.standard_errors(x, y) == {}
    measured = [metric("kernel_distance", subset=m, n=60).measure(Drawn(), points(60)) for m in (20, 60)]
    errors = [each["kernel_distance"].standard_error for each in measured]
    assert errors[0] is not None and errors[0] > 0 and errors[1] is None


@pytest.mark.parametrize(
    ("real", "drawn", "k", "expected"),
    [
        # Balls of the data [-1, 1], [0, 2], [1, 7]: those of the draws [-3, 3], [-3, 3], [0, 12].
        ((0, 1, 4), (0, 3, 6), 1, {"precision": 1.0, "recall": 1.0, "density": 4 / 3, "coverage": 1.0}),
        ((0, 1, 4), (-2, -3, 3), 1, {"precision": 1 / 3, "recall": 1.0, "density": 1 / 3, "coverage": 1 / 3}),
        ((0, 1, 4), (3, 4, 5), 1, {"precision": 1.0, "recall": 1 / 3, "density": 1.0, "coverage": 1 / 3}),
        ((0, 1, 4), (-5, -3, 3), 2, {"precision": 2 / 3, "recall": 1.0, "density": 2 / 3, "coverage": 1.0}),
        ((0, 1, 2), (7, 8, 9), 1, {"precision": 0.0, "recall": 0.0, "density": 0.0, "coverage": 0.0}),
    ],
)
def test_manifolds_of_a_few_numbers(
    real: tuple[float, ...], drawn: tuple[float, ...], k: int, expected: dict[str, float]
) -> None:
    def reach(x: tuple[float, ...], of: float) -> float:
        return sorted(abs(of - each) for each in x)[k]

    near = [[abs(x - y) <= reach(real, x) for x in real] for y in drawn]
    back = [[abs(x - y) <= reach(drawn, y) for y in drawn] for x in real]
    counted = {
        "precision": np.mean([any(row) for row in near]),
        "recall": np.mean([any(row) for row in back]),
        "density": np.sum(near) / (k * len(drawn)),
        "coverage": np.mean(np.any(near, axis=0)),
    }
    assert counted == pytest.approx(expected)
    found = {}
    for name in ("precision_recall", "density_coverage"):
        found.update(metric(name, k=k).compare(column(*real), column(*drawn)))
    assert found == pytest.approx(expected)


def test_equal_sets_are_at_no_distance_and_cover_each_other() -> None:
    x = torch.cat([cloud(40, 3), cloud(5, 3)])  # some of them twice
    assert metric("frechet_distance").compare(x, x)["frechet_distance"] == pytest.approx(0.0, abs=1e-8)
    assert metric("precision_recall").compare(x, x) == {"precision": 1.0, "recall": 1.0}
    assert metric("density_coverage").compare(x, x)["coverage"] == 1.0


def test_figures_do_not_depend_on_how_many_distances_are_computed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = cloud(50, 1), cloud(50, 2)
    whole = [metric(name).compare(x, y) for name in NAMES[2:]]
    monkeypatch.setattr(import_module("zoo.plugins.metrics.samples.manifolds"), "PAIRS", 120)
    assert [metric(name).compare(x, y) for name in NAMES[2:]] == whole


# -- others -----------------------------------------------------------------------------------------------------------


def test_manifolds_are_those_of_prdc() -> None:
    prdc = pytest.importorskip("prdc")
    x, y = cloud(200, 1), cloud(200, 2)
    for k in (1, 3, 5):
        theirs = prdc.compute_prdc(x.numpy(), y.numpy(), nearest_k=k)
        ours = metric("precision_recall", k=k).compare(x, y) | metric("density_coverage", k=k).compare(x, y)
        assert ours == pytest.approx(theirs)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save")
def test_distances_are_those_of_torchmetrics() -> None:
    """Its Fréchet distance in float64, its kernel distance of one subset."""
    fid, kid = (pytest.importorskip(f"torchmetrics.image.{name}") for name in ("fid", "kid"))
    x, y = cloud(100, 1), cloud(100, 2)

    class Given(torch.nn.Module):
        """Takes vectors for their own features."""

        num_features = x.shape[1]

        def forward(self, vectors: Tensor) -> Tensor:
            return vectors

    frechet = fid.FrechetInceptionDistance(feature=Given()).set_dtype(torch.float64)
    kernel = kid.KernelInceptionDistance(feature=Given(), subsets=1, subset_size=100)
    for theirs in (frechet, kernel):
        theirs.update(x, real=True)
        theirs.update(y, real=False)
    assert metric("frechet_distance").compare(x, y)["frechet_distance"] == pytest.approx(frechet.compute().item())
    found = metric("kernel_distance").compare(x, y)["kernel_distance"]
    assert found == pytest.approx(kernel.compute()[0].item(), rel=1e-5)


# -- draws and features -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_measured_on_as_many_examples_as_draws(name: str) -> None:
    near, far = Drawn(), Drawn(place=3.0)
    figures = [metric(name, n=120, batch=50).measure(model, points(200)) for model in (near, far)]
    assert near.asked == 120
    assert {figure.n for found in figures for figure in found.values()} == {120}
    for key, goal in metric(name).figures().items():
        better = figures[0][key].value, figures[1][key].value
        assert better[0] < better[1] if goal == "min" else better[0] > better[1]


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_a_function_of_their_seed(name: str) -> None:
    def values(seed: int) -> list[float]:
        torch.rand(int(torch.randint(9, ())))  # whatever was drawn before
        return [figure.value for figure in metric(name, n=150, seed=seed).measure(Drawn(), points(200)).values()]

    assert values(0) == values(0) != values(1)


def test_draws_are_under_the_conditions_of_the_examples() -> None:
    """Points at 0, 10 and 20 by their label: the same points, however they are chosen."""
    labels = torch.arange(90) % 3
    data = [{"point": labels.float()[:, None].expand(90, 2) * 10.0, "label": labels}]
    assert metric("frechet_distance", n=50).measure(Repeated(POINT), data)["frechet_distance"].value < 1e-6


def test_metrics_of_one_evaluation_share_draws() -> None:
    dataset = zoo.declare(zoo.Dataset, {"type": "toy2d", "figure": "two_moons", "size": 50, "test_size": 80})()
    parts = [zoo.declare(zoo.Metric, {"type": name, "n": 40}) for name in (*NAMES, "precision_recall")]
    other = zoo.declare(zoo.Metric, {"type": "precision_recall", "n": 40, "seed": 1})
    source = held_out(dataset, torch.device("cpu"))
    model = Drawn(dataset.event)
    together = measure(model, parts, source, 0)
    assert model.asked == 40
    measure(model, [*parts, other], source, 0)
    assert model.asked == 40 + 80
    alone = measure(model, parts[1:2], source, 7)
    assert alone["kernel_distance"] == together["kernel_distance"]


CLASSIFIER = {"type": "classifier", "encoder": {"type": "mlp", "width": 8, "depth": 1}, "features": 5}
MADE = {"type": "autoregressive", "net": {"type": "made", "width": 4}, "head": "categorical"}


def untrained(folder: Path, model: dict[str, Any]) -> Path:
    """The share file of an untrained model of digits."""
    train = {"steps": 1, "batch": 4, "optimizer": "adam"}
    spec = zoo.load_spec({"name": "it", "data": "digits", "model": model, "train": train})
    return export(folder / "it.safetensors", spec, zoo.build(spec).eval(), step=0, data=None)


def test_features_are_the_codes_of_a_share_file_whatever_the_levels(tmp_path: Path) -> None:
    file = untrained(tmp_path, CLASSIFIER)
    codes, model = features.features_of(str(file), None), zoo.load(file)
    assert isinstance(model, zoo.Encodes) and isinstance(model, zoo.Predicts)
    bits = torch.randint(2, (6, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    found = codes(bits, zoo.Event("image", zoo.Shape(1, 8, 8), levels=2))
    assert found.shape == (6, 5) and torch.equal(found, model.encode(bits * 16))
    greys = bits * 9
    assert torch.equal(codes(greys, model.event), model.encode(greys))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": "nowhere.safetensors"}, "run or file not found: nowhere.safetensors"),
        ({"features": "inception"}, "the features 'inception' need 'weights': the path of a state dict of InceptionV3"),
        ({"features": "inception", "weights": "nowhere.pth"}, "cannot be read from nowhere.pth: No such file"),
        ({"features": "DIGITS"}, r"is of 'image' of shape 1x8x8, the data 'point' of 2"),
    ],
)
def test_features_that_cannot_be_had_are_refused_before_training(
    changes: dict[str, str], message: str, tmp_path: Path
) -> None:
    node = {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]}
    data = {"type": "toy2d", "figure": "two_moons", "size": 50, "test_size": 20}
    spec: dict[str, Any] = {
        "name": "it",
        "data": data,
        "model": node,
        "train": {"steps": 1, "batch": 4, "optimizer": "adam"},
    }
    if changes["features"] == "DIGITS":
        changes = {"features": str(untrained(tmp_path, CLASSIFIER))}
    spec["evaluate"] = [{"type": "precision_recall", **changes}]
    with pytest.raises(zoo.SpecError, match=message):
        zoo.train(zoo.load_spec(spec), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_figure_says_of_which_network_its_features_are(tmp_path: Path) -> None:
    """Equal weights have one digest, wherever they lie; others have another, and the two figures do not compare."""
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
    file, again = (untrained(tmp_path / place, CLASSIFIER) for place in ("one", "two"))
    other = untrained(tmp_path, {**CLASSIFIER, "features": 6})
    digests = [features.features_of(str(path), None).digest() for path in (file, again, other)]
    assert digests[0] == digests[1] != digests[2] and digests[0].startswith("sha256:")
    digits = zoo.Event("image", zoo.Shape(1, 8, 8), levels=17)
    batches = [{"image": torch.randint(17, (20, 1, 8, 8))}]
    figures = metric("precision_recall", features=str(file), n=8).measure(Levels(digits), batches)
    assert {figure.features for figure in figures.values()} == {digests[0]}


def test_features_need_a_model_that_encodes(tmp_path: Path) -> None:
    with pytest.raises(zoo.DataError, match="does not encode: its features need one that does"):
        features.features_of(str(untrained(tmp_path, MADE)), None)


def test_a_file_that_is_not_of_inception_is_refused(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(10, 2048)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no tensors")
    for name, message in (("other.pth", "is not a state dict of InceptionV3"), ("text.pth", "is not a state dict")):
        with pytest.raises(zoo.DataError, match=message):
            features.features_of("inception", str(tmp_path / name))


def test_a_pooled_branch_starts_from_another_pooling_of_the_same_input() -> None:
    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch_pool = torch.nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.branch_pool(torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1))
            return found

    x = torch.arange(32.0).reshape(2, 1, 4, 4)
    for pool in (features._mean_inside, features._largest):
        features.pool_anew(block := Block(), pool)
        assert torch.equal(block(x), pool(x)) and torch.equal(block(x + 1), pool(x + 1))
    assert features._mean_inside(torch.ones(1, 1, 3, 3)).eq(1.0).all()


def test_draws_that_are_not_finite_have_no_figure() -> None:
    for name in NAMES:
        for figure in metric(name, n=30).measure(Drawn(place=math.nan), points(60)).values():
            assert math.isnan(figure.value) and figure.not_finite == 30


def test_what_cannot_be_measured_is_refused() -> None:
    for name in NAMES:
        with pytest.raises(ValueError, match="Mute does not sample"):
            metric(name).check(Mute(POINT))
    with pytest.raises(zoo.DataError, match="at least 4 draws and as many held-out examples are needed, got 3"):
        metric("precision_recall", n=3).measure(Drawn(), points(60))
    with pytest.raises(zoo.DataError, match="no examples"):
        metric("frechet_distance").measure(Drawn(), [])
    continuous = zoo.Event("image", zoo.Shape(1, 8, 8))
    with pytest.raises(zoo.DataError, match="InceptionV3 takes images"):
        raise zoo.DataError(features.Inception.misfit(None, "point", (2,)))
    assert features.Pixels()(torch.zeros(3, 1, 8, 8), continuous).shape == (3, 64)
