"""Metrics that learn from training examples before they measure, wherever a model is scored."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_plugins import plugin
from typer.testing import CliRunner

import zoo
from zoo.cli.app import app
from zoo.data.batches import divided, held_out
from zoo.format.header import read_header
from zoo.inference.evaluate import evaluate_file, measure
from zoo.interfaces.boundary import trusted
from zoo.progress import activity, listening
from zoo.share.file import export_again, open_share

ACME = '''
    """A record of what is given, a Frechet distance in code space, and a linear probe."""

    from __future__ import annotations

    from collections.abc import Iterable, Mapping

    import torch
    from torch import Tensor, nn
    from zoo import Batch, DataError, Encodes, Measurement, Metric, Model, Samples, component, counted, encoded

    LOOKED_AT: list[int] = []


    @component("order")
    class Order(Metric):
        """The labels of the training examples, each times its position; and a draw."""

        needs = ("label",)

        def check(self, model: Model) -> None: ...

        def check_data(self, batches: Iterable[Batch]) -> None:
            LOOKED_AT.append(sum(len(batch["label"]) for batch in batches))

        def fit(self, model: Model, batches: Iterable[Batch]) -> None:
            self.labels = torch.cat([batch["label"] for batch in batches]).double()
            self.noise = torch.rand(())

        def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
            order = self.labels @ torch.arange(len(self.labels), dtype=torch.float64)
            found = {"order": order, "order.noise": self.noise, "order.draw": torch.rand(())}
            return {name: Measurement(value.item(), 1) for name, value in found.items()}


    @component("draw")
    class Draw(Metric):
        """A draw, without training examples."""

        def check(self, model: Model) -> None: ...

        def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
            return {"draw": Measurement(torch.rand(()).item(), 1)}


    @component("frechet")
    class Frechet(Metric):
        """The Frechet distance of codes of draws from codes of the first training examples, both as Gaussians."""

        def __init__(self, *, draws: int = 30, examples: int = 200) -> None:
            self.draws = draws
            self.examples = examples

        def check(self, model: Model) -> None:
            if not isinstance(model, Samples) or not isinstance(model, Encodes):
                raise ValueError(f"the model {type(model).__name__} does not sample and encode")

        def fit(self, model: Model, batches: Iterable[Batch]) -> None:
            codes: list[Tensor] = []
            for found, _ in encoded(model, batches):
                codes.append(found.flatten(1).double())
                if sum(map(len, codes)) >= self.examples:
                    break
            self.mean, self.covariance = moments(torch.cat(codes))

        def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
            drawn = ({model.event.name: model.sample(10)} for _ in counted(range(self.draws), self.draws))
            mean, covariance = moments(torch.cat([codes.flatten(1).double() for codes, _ in encoded(model, drawn)]))
            root = torch.linalg.eigvals(covariance @ self.covariance).sqrt().real.sum()
            distance = (mean - self.mean).square().sum() + covariance.trace() + self.covariance.trace() - 2 * root
            return {"frechet": Measurement(distance.item(), 10 * self.draws)}


    def moments(codes: Tensor) -> tuple[Tensor, Tensor]:
        return codes.mean(0), codes.T.cov()


    @component("probe")
    class Probe(Metric):
        """The accuracy of a linear classifier that is trained on codes."""

        needs = ("label",)

        def check(self, model: Model) -> None:
            encoded(model, ())

        def fit(self, model: Model, batches: Iterable[Batch]) -> None:
            found = [(codes.flatten(1), batch["label"]) for codes, batch in encoded(model, batches)]
            codes, labels = (torch.cat(each) for each in zip(*found))
            self.norm = nn.BatchNorm1d(codes.shape[1], affine=False, momentum=None)
            self.head = nn.Linear(codes.shape[1], model.event.classes)
            adam = torch.optim.Adam(self.head.parameters(), lr=0.1)
            with torch.enable_grad():
                for _ in counted(range(60), 60):
                    adam.zero_grad()
                    nn.functional.cross_entropy(self.head(self.norm(codes)), labels).backward()
                    adam.step()
            self.norm.eval()

        def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
            hits = [self.head(self.norm(codes.flatten(1))).argmax(1) == batch["label"]
                    for codes, batch in encoded(model, batches)]
            return {"probe": Measurement.mean_of(torch.cat(hits).double())}
'''
SPEC: dict[str, Any] = {
    "name": "it",
    "plugins": ["acme"],
    "data": "digits",
    "model": {
        "type": "vae",
        "latent": [8],
        "encoder": {"type": "mlp", "width": 16},
        "decoder": {"type": "mlp", "width": 16},
        "likelihood": "discretized_logistic",
    },
    "train": {
        "steps": 2,
        "batch": 16,
        "optimizer": {"type": "adam", "lr": 0.01},
        "validation": 0.25,
        "validate_every": 2,
        "seed": 3,
    },
    "engine": {"device": "cpu", "compile": "off"},
    "evaluate": ["acme.order", "acme.frechet", "acme.probe", {"type": "knn", "k": 5}, "elbo"],
}


@pytest.fixture(scope="module", autouse=True)
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with plugin(tmp_path_factory.mktemp("acme"), ACME, "1.0"):
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, acme: None) -> zoo.Run:
    return zoo.train(SPEC, runs=tmp_path_factory.mktemp("runs"))


def trained_labels() -> torch.Tensor:
    """Of the train split without what is held out, in order."""
    examples = zoo.declare(zoo.Dataset, "digits")().split("train")
    labels: torch.Tensor = examples.read(divided(examples, 0.25)[0])["label"]
    return labels.double()


def test_training_scores_with_what_it_trained_on(run: zoo.Run) -> None:
    labels = trained_labels()
    expected = float(labels @ torch.arange(len(labels), dtype=torch.float64))
    assert run.metrics["order"] == expected
    rows = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    validated = next(row for row in rows if row["split"] == "validation")
    assert validated["order"] == expected
    assert validated["knn"] != run.metrics["knn"]  # of other held-out examples
    assert run.metrics["probe"] > 0.3 and run.metrics["knn"] > 0.3 and run.metrics["frechet"] > 0


def test_a_share_file_says_on_how_many_examples_a_metric_was_fitted(run: zoo.Run) -> None:
    figures = read_header(run.model).meta["metrics"]["figures"]
    n = len(trained_labels())
    fitted = {name: figure.get("fitted_on") for name, figure in figures.items() if "." not in name}
    assert fitted == {"order": n, "frechet": 500, "probe": n, "knn": n} | dict.fromkeys(
        ("elbo", "reconstruction", "kl", "active")
    )


@pytest.mark.parametrize("fitted_on", ["60000", None, 1.5, True])
def test_a_share_file_says_it_by_a_whole_number(fitted_on: Any, run: zoo.Run, tmp_path: Path) -> None:
    opened = open_share(run.model)
    figures = {"knn": {"value": 0.9, "n": 10, "kind": "exact", "fitted_on": fitted_on}}
    with pytest.raises(zoo.UsageError, match="an invalid 'metrics'"):
        export_again(tmp_path / "it.safetensors", *opened, metrics={"figures": figures})
    figures["knn"]["fitted_on"] = 60_000
    export_again(tmp_path / "it.safetensors", *opened, metrics={"figures": figures})


def test_evaluate_fits_as_training_did(run: zoo.Run) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(run.directory), "--json"])
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert said["metrics"] == run.metrics
    n = len(trained_labels())
    assert said["fitted_on"] == {"order": n, "order.noise": n, "order.draw": n, "frechet": 500, "probe": n, "knn": n}
    plain = CliRunner().invoke(app, ["evaluate", str(run.directory), "--metric", "knn"])
    assert f"knn: fitted on {n:,} training examples" in plain.stderr
    unfitted = CliRunner().invoke(app, ["evaluate", str(run.directory), "--metric", "elbo", "--json"])
    assert "fitted_on" not in json.loads(unfitted.stdout)


def test_batches_of_another_size_change_figures_by_rounding_alone(run: zoo.Run) -> None:
    found = evaluate_file(run.directory, ["knn", "acme.probe", "acme.order"], ["evaluate.batch=77"])[0]
    assert {name: m.value for name, m in found.items()} == pytest.approx(
        {name: run.metrics[name] for name in found}, abs=0.01
    )


def test_a_table_fits_too(tmp_path: Path) -> None:
    zoo_spec = {**SPEC, "train": {**SPEC["train"], "steps": 1}, "evaluate": []}
    del zoo_spec["train"]["validate_every"]
    (tmp_path / "it.yaml").write_text(json.dumps(zoo_spec))
    (tmp_path / "t.yaml").write_text("name: t\nrows: [{spec: it.yaml}]\nmetrics: [acme.order]\n")
    result = CliRunner().invoke(app, ["table", str(tmp_path / "t.yaml"), "--runs", str(tmp_path / "runs"), "--json"])
    assert result.exit_code == 0, result.stderr
    labels = trained_labels()
    expected = float(labels @ torch.arange(len(labels), dtype=torch.float64))
    assert json.loads(result.stdout)["rows"][0]["metrics"]["order"]["mean"] == expected


def test_the_check_before_training_looks_at_what_is_fitted_on(tmp_path: Path) -> None:
    looked_at = sys.modules["acme_1_0"].LOOKED_AT
    looked_at.clear()
    zoo.train({**SPEC, "train": {**SPEC["train"], "steps": 1}, "evaluate": ["acme.order"]}, runs=tmp_path)
    data = zoo.declare(zoo.Dataset, "digits")()
    trained, held = divided(data.split("train"), 0.25)
    assert sorted(looked_at) == sorted([len(data.split("test")), len(held), len(trained)])


def small() -> tuple[zoo.Model, Any]:
    spec = zoo.load_spec(SPEC)
    return zoo.build(spec).eval(), held_out(spec.data(), torch.device("cpu"))


def test_training_examples_are_opened_only_for_metrics_that_ask() -> None:
    model, source = small()

    def refuse() -> Any:
        raise AssertionError("the train split was opened")

    assert "draw" in measure(model, [zoo.declare(zoo.Metric, "acme.draw")], source, 0, trained_on=refuse)
    with pytest.raises(zoo.DataError, match="metric 'knn' needs training examples, got none"):
        measure(model, [zoo.declare(zoo.Metric, "knn")], source, 0)


def test_draws_of_fit_and_measure_are_functions_of_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, source = small()
    order = zoo.declare(zoo.Metric, "acme.order")

    def found(seed: int) -> list[float]:
        measured = measure(model, [order], source, seed, trained_on=lambda: source)
        return [measured[name].value for name in ("order.noise", "order.draw")]

    before = torch.get_rng_state()
    first = found(1)
    assert torch.equal(torch.get_rng_state(), before)
    assert first == found(1) and first[0] != found(2)[0] and first[1] != found(2)[1] and first[0] != first[1]
    fit = order.cls.fit
    monkeypatch.setattr(order.cls, "fit", lambda self, *given: (torch.rand(3), fit(self, *given)))
    assert found(1)[1] == first[1], "what fit draws is nothing to what measure draws"


def test_fitting_and_scoring_report_progress() -> None:
    model, source = small()
    said: list[tuple[str, float]] = []
    metrics = [zoo.declare(zoo.Metric, {"type": "acme.frechet", "draws": 4}), zoo.declare(zoo.Metric, "acme.probe")]
    with listening(lambda done, of: said.append((activity(), done / of))):
        measure(model, metrics, source, 0, batch=100, trained_on=lambda: source)
    by_activity = {name: [part for told, part in said if told == name] for name, _ in said}
    assert list(by_activity) == [
        "fitting acme.frechet",
        "scoring acme.frechet",
        "fitting acme.probe",
        "scoring acme.probe",
    ]
    assert by_activity["scoring acme.frechet"] == [0.0, 0.25, 0.5, 0.75, 1.0]  # of its draws
    assert len(by_activity["fitting acme.probe"]) > 60  # of batches, then of steps


def test_codes_come_without_gradients_and_of_models_that_encode() -> None:
    model, source = small()
    with trusted(), torch.enable_grad():
        found = [(codes, batch["label"]) for codes, batch in zoo.encoded(model, source.in_order(100))]
        assert torch.is_grad_enabled()
    assert not any(codes.requires_grad for codes, _ in found)
    assert torch.equal(torch.cat([label for _, label in found]), source.read(torch.arange(len(source)))["label"])
    assert isinstance(model, zoo.Encodes)
    assert torch.equal(found[0][0], model.encode(next(source.in_order(100))["image"]))
    with pytest.raises(ValueError, match="does not encode"):
        zoo.encoded(zoo.build(zoo.load_spec("fvsbn", small=True)), ())


def test_a_fit_that_lacks_an_entry_is_refused_in_a_sentence() -> None:
    spec = zoo.load_spec("realnvp-2d", small=True)
    source = held_out(spec.data(), torch.device("cpu"))
    with pytest.raises(zoo.UsageError, match=r"metric 'acme\.probe' needs the label of each example"):
        measure(zoo.build(spec), [zoo.declare(zoo.Metric, "acme.probe")], source, 0, trained_on=lambda: source)
