"""Programs for other runtimes: each gives what the model gives, or is not written."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from operator import itemgetter
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner, Result

import zoo
from zoo import map_condition
from zoo.assembly import build as assembly
from zoo.cli.app import app
from zoo.engine.randomness import seeded
from zoo.export import translation
from zoo.export.formats import FORMATS, TorchScript
from zoo.export.program import Sampling, Scoring, program_of
from zoo.export.translation import differences, translate
from zoo.format.header import read_header
from zoo.inference.conditions import condition
from zoo.share.file import export
from zoo.spec import load_spec, shipped_specs
from zoo.testing import Case, cases, initialize, inputs, liven, perturb

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
slow = pytest.mark.slow
CPU = torch.device("cpu")
POINT = zoo.Event("point", zoo.Shape(2))
SHALLOW = ["model.transforms.0.repeat=1"]
LIGHT = [
    "model.transforms.4.conditioner={type: mlp, width: 8, depth: 1}",
    "model.transforms.5.then=[batch_norm, {type: affine_coupling, mask: channel, conditioner: {type: mlp, width: 8}}]",
]


def livened(model: Any) -> Any:
    """A model in evaluation mode of which nothing is the identity or an initial statistic any more."""
    with seeded(CPU, 0, "liven"):
        context = condition(model, 64)
        batches = [model.event.example(64, CPU) | {model.event.name: model.sample(64, context)} for _ in range(3)]
        clock = zoo.Clock(torch.zeros((), dtype=torch.int64), 1)
        initialize(model, batches[0], clock)
        perturb(model, 0, 0.05)
        for batch in batches:
            model(batch, clock)
    return model.eval().requires_grad_(False)


Maker = Callable[..., Path]


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """The share file of a livened model, made once."""
    made: dict[Any, Path] = {}

    def file(name: str, overrides: Sequence[str] = SHALLOW, small: bool = True) -> Path:
        key = (name, str(overrides), small)
        if key not in made:
            spec = load_spec(name, overrides, small=small)
            path = tmp_path_factory.mktemp("share") / f"{name}.safetensors"
            made[key] = export(path, spec, livened(assembly.build(spec)), step=0, data=None, licence="CC0-1.0")
        return made[key]

    return file


@pytest.fixture(scope="module")
def written(share: Maker, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """A program of a share file in a format, made once."""
    made: dict[Any, Path] = {}

    def file(form: str, function: str = "sample", of: Path | None = None) -> Path:
        of = of or share("realnvp-2d")
        if (form, function, of) not in made:
            path = tmp_path_factory.mktemp("written") / f"program{FORMATS[form].ending}"
            made[form, function, of] = translate(of, path, form=form, function=function).output
        return made[form, function, of]

    return file


# -- the law of what decodes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped_specs())
def test_a_draw_is_its_decoded_latent(name: str) -> None:
    model = assembly.build(load_spec(name, small=True))
    if not isinstance(model, zoo.Decodes):
        pytest.skip("does not decode")
    livened(model)
    norms = []
    context = condition(model, 5)
    for temperature in (1.0, 0.7):
        with seeded(CPU, 1, "draw"):
            drawn = model.sample(5, context, temperature)
        with seeded(CPU, 1, "draw"):
            z = model.draw_latent(5, context, temperature)
            state = torch.get_rng_state()
            decoded = model.decode(z, context)
            assert torch.equal(state, torch.get_rng_state()), "decoding draws noise"
        assert z.is_floating_point()
        assert len(z) == 5
        assert torch.equal(drawn, decoded)
        norms.append(float(z.norm()))
        own = [map_condition(itemgetter(slice(i, i + 1)), context) for i in range(5)]
        rows = torch.cat([model.decode(row, given) for row, given in zip(z.unsqueeze(1), own, strict=True)])
        assert torch.allclose(rows.double(), decoded.double(), atol=1e-5), "a draw depends on other rows"
    assert 0 < norms[1] < norms[0]


# -- what other runtimes give ------------------------------------------------------------------------------------------

COVERED: list[tuple[str, list[str], bool, str, tuple[str, ...]]] = [
    ("realnvp-2d", SHALLOW, True, "sample", ()),
    ("realnvp-2d", SHALLOW, True, "score", ()),
    ("realnvp-2d", [], False, "sample", tuple(FORMATS)),
    ("realnvp-2d", [], False, "score", tuple(FORMATS)),
    ("realnvp-mnist", LIGHT, True, "sample", ("pt2",)),
    ("realnvp-mnist", [], True, "sample", ("onnx", "pt2")),
    ("realnvp-mnist", [], False, "sample", tuple(FORMATS)),
    ("realnvp-binarised", [], True, "sample", ("onnx", "pt2")),
    ("realnvp-cifar10", [], True, "sample", ("onnx", "pt2")),
    ("realnvp", [], False, "sample", tuple(FORMATS)),
    ("nice", [], True, "sample", ("onnx", "pt2")),
    ("nsf-coupling", ["model.transforms.1.repeat=1"], True, "sample", ("onnx", "pt2")),
    ("maf", SHALLOW, True, "sample", ()),
    ("iaf", SHALLOW, True, "sample", ()),
    ("nsf-autoregressive", ["model.transforms.1.repeat=1"], True, "sample", ("onnx", "pt2")),
    ("planar-2d", ["model.transforms.1.repeat=1"], True, "sample", ("onnx", "pt2")),
    ("radial-2d", ["model.transforms.1.repeat=2"], True, "sample", ()),
    ("residual-flow", ["model.transforms.1.repeat=1"], True, "sample", tuple(FORMATS)),
    ("ffjord-2d", [], True, "sample", ("onnx", "pt2")),
    ("glow", [], True, "sample", ("onnx", "pt2")),
    ("glow-cifar10", [], True, "sample", ("onnx", "pt2")),
    ("flowpp", [], True, "sample", tuple(FORMATS)),
    ("mixture-1d", [], True, "sample", ("onnx", "pt2")),
    ("planar-energy", ["model.transforms.0.repeat=1"], True, "sample", ("onnx", "pt2")),
    ("radial-energy", ["model.transforms.0.repeat=1"], True, "sample", ("onnx", "pt2")),
    ("nsf-tables", [], True, "sample", ("onnx", "pt2")),
    ("flow-matching-2d", ["model.solver.steps=3"], True, "sample", ()),
    ("edm-2d", ["model.solver.steps=3"], True, "sample", ("onnx", "pt2")),
    ("diffusion-digits", [], True, "sample", ("onnx", "pt2")),
    ("ddpm", [], True, "sample", ("onnx", "pt2")),
    ("ddpm-cifar10", [], True, "sample", tuple(FORMATS)),
    ("edm", [], True, "sample", ("onnx", "pt2")),
    ("edm-cifar10", [], True, "sample", tuple(FORMATS)),
    ("flow-matching-cifar10", [], True, "sample", tuple(FORMATS)),
    ("score-sde", [], True, "sample", ("onnx", "pt2")),
    ("bigan", [], True, "sample", ("onnx", "pt2")),
    ("masked-diffusion", [], True, "sample", ("onnx", "pt2")),
    ("latent-diffusion", [], True, "sample", ("onnx", "pt2")),
    ("consistency", [], True, "sample", ("onnx", "pt2")),
    ("consistency-2d", [], True, "sample", ()),
    ("reflow-2d", [], True, "sample", ("onnx", "pt2")),
    ("vae", [], True, "sample", ("onnx", "pt2")),
    ("iwae", [], True, "sample", ("onnx", "pt2")),
    ("flow-vae", [], True, "sample", ("onnx", "pt2")),
    ("gmm-vae", [], True, "sample", ("onnx", "pt2")),
    ("vamp", [], True, "sample", ("onnx", "pt2")),
    ("categorical-vae", [], True, "sample", ("onnx", "pt2")),
    ("vae-2d", [], True, "sample", ("onnx", "pt2")),
    ("vae-dsprites", [], True, "sample", ("onnx", "pt2")),
    ("beta-vae", [], True, "sample", ("onnx", "pt2")),
    ("control-vae", [], True, "sample", ("onnx", "pt2")),
    ("dynamic-vae", [], True, "sample", ("onnx", "pt2")),
    ("sigma-vae", [], True, "sample", ("onnx", "pt2")),
    ("l-vae", [], True, "sample", ("onnx", "pt2")),
    ("dl-vae", [], True, "sample", ("onnx", "pt2")),
    ("factor-vae", [], True, "sample", ("onnx", "pt2")),
    ("beta-tcvae", [], True, "sample", ("onnx", "pt2")),
    ("dip-vae", [], True, "sample", ("onnx", "pt2")),
    ("vq-vae", [], True, "sample", ("onnx", "pt2")),
]
"""Specs, overrides and whether in small; a function, and the formats in which it takes long."""


LACKING = {(name, "onnx") for name in ("glow", "glow-cifar10", "nsf-tables")}
"""ONNX solves no triangular systems, which the inverses of PLU factors are."""


@slow
@pytest.mark.parametrize(("name", "form"), sorted(LACKING))
def test_what_a_format_lacks_is_said(name: str, form: str, share: Maker, tmp_path: Path) -> None:
    with pytest.raises(zoo.ZooError, match=r"'sample' cannot be translated to onnx: .*solve_triangular"):
        translate(share(name, [], True), tmp_path / "program.onnx", form=form, function="sample")


def test_every_shipped_spec_is_covered() -> None:
    models = {name: assembly.build(load_spec(name, small=True)) for name in shipped_specs()}
    decoding = {name for name, m in models.items() if isinstance(m, zoo.Decodes) and m.conditioned_on is None}
    assert {name for name, *_ in COVERED} >= decoding


@pytest.mark.parametrize(
    ("name", "overrides", "small", "function", "form"),
    [
        pytest.param(*case, form, marks=slow if form in late else ())
        for *case, late in COVERED
        for form in FORMATS
        if (case[0], form) not in LACKING
    ],
)
@torch.no_grad()
def test_a_program_gives_what_the_model_gives(
    name: str, overrides: list[str], small: bool, function: str, form: str, share: Maker, written: Maker
) -> None:
    file = share(name, overrides, small)
    run = FORMATS[form]().open(written(form, function, file))
    program = program_of(zoo.load(file), function)
    with seeded(CPU, 3, "test"):
        for n in (1, 2, 3, 8, 33):
            x = program.inputs(n)
            assert differences(program, run, x).tolist() == []
            if form != "onnx":  # the same kernels in the same order
                assert torch.equal(run(x), program(x))


def test_onnx_runtime_draws_what_zoo_draws(share: Maker, written: Maker) -> None:
    """All by the book of ONNX Runtime, with nothing of ours but the file."""
    model: Any = zoo.load(share("realnvp-2d"))
    z = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    (x,) = onnxruntime.InferenceSession(written("onnx")).run(["x"], {"z": z})
    assert x.shape == (100, 2)
    assert np.allclose(x, model.decode(torch.from_numpy(z)).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert x.std() > 0.1


class BothWays(torch.nn.Module):
    """Data to latent and back."""

    def __init__(self, bijection: zoo.Bijection) -> None:
        super().__init__()
        self.bijection = bijection

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z, log_det = self.bijection(x)
        return z, log_det, self.bijection.decode(z)


class Backwards(BothWays):
    """Latent to data."""

    def forward(self, x: Tensor) -> tuple[Tensor]:  # type: ignore[override]
        return (self.bijection.decode(x),)


@slow
@pytest.mark.parametrize("case", list(cases(zoo.Bijection)), ids=str)
@torch.no_grad()
def test_every_bijection_has_a_graph_for_any_number_of_rows(case: Case) -> None:
    bijection = liven(case.build())
    ways = (Backwards if bijection.differentiates else BothWays)(bijection).eval()
    graph = torch.export.export(ways, (inputs(bijection, 3),), dynamic_shapes=({0: torch.export.Dim("n")},))
    for n in (1, 7):
        x = inputs(bijection, n)
        for ours, theirs in zip(ways(x), graph.module()(x), strict=True):
            assert torch.equal(ours, theirs)


# -- what is written ---------------------------------------------------------------------------------------------------


def about(file: Path) -> dict[str, Any]:
    """What a file says of where it comes from, read as its users would."""
    extra = {"zoo": ""}
    match file.suffix:
        case ".onnx":
            extra = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
        case ".pt":
            torch.jit.load(file, _extra_files=extra)  # type: ignore[no-untyped-call]
        case ".pt2":
            torch.export.load(file, extra_files=extra)
    assert extra.keys() == {"zoo"}
    told = json.loads(extra["zoo"])
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_says_where_it_comes_from(form: str, written: Maker, share: Maker) -> None:
    header = read_header(share("realnvp-2d"))
    told = about(written(form))
    assert told == {key: header.meta[key] for key in ("digest", "event", "spec", "licence")} | {
        "name": "realnvp-2d",
        "function": "sample",
        "input": {"name": "z", "dtype": "float32", "shape": ["n", 2]},
        "output": {"name": "x", "dtype": "float32", "shape": ["n", 2]},
    }
    assert told["licence"] == "CC0-1.0"


def test_onnx_names_what_goes_in_and_out(written: Maker) -> None:
    session = onnxruntime.InferenceSession(written("onnx"))
    (takes,), (gives,) = session.get_inputs(), session.get_outputs()
    assert (takes.name, takes.shape, takes.type) == ("z", ["n", 2], "tensor(float)")
    assert (gives.name, gives.shape, gives.type) == ("x", ["n", 2], "tensor(float)")


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_weights_give_the_same_bytes_in_silence(
    form: str, written: Maker, share: Maker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = written(form).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = translate(share("realnvp-2d"), tmp_path / "x", form=form)
    assert capfd.readouterr() == ("", "")
    # TorchScript numbers the modules that a process has traced.
    assert again.output.read_bytes() == before or form == "torchscript"


@pytest.mark.parametrize("form", FORMATS)
def test_no_path_of_this_machine_is_written(form: str, written: Maker) -> None:
    file = written(form)
    texts = [file.read_bytes()]
    if is_zipfile(file):
        with ZipFile(file) as archive:
            texts += [archive.read(name) for name in archive.namelist()]
    for folder in (Path(zoo.__file__).parents[1], Path(torch.__file__).parents[1], Path.cwd()):
        assert not any(str(folder).encode() in text for text in texts)


# -- what is refused ---------------------------------------------------------------------------------------------------


class Generator(zoo.Model, zoo.Decodes):
    """Draws by a function of two normal numbers that a test brings."""

    def __init__(self, g: Callable[[Tensor], Tensor]) -> None:
        super().__init__(POINT)
        self.g = g

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        raise NotImplementedError

    def draw_latent(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        return temperature * torch.randn(n, 2)

    def decode(self, z: Tensor, context: zoo.Condition | None = None) -> Tensor:
        return self.g(z)


def fixed_rows(z: Tensor) -> Tensor:
    return z + torch.arange(len(z)).unsqueeze(1)


def by_value(z: Tensor) -> Tensor:
    return z if z[0, 0] > 100.0 else -z


def counting(z: Tensor) -> Tensor:
    return torch.tensor(z.tolist())


@pytest.mark.parametrize("g", [fixed_rows, counting])
def test_what_tracing_would_bake_in_is_refused(g: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    for form in FORMATS.values():
        with pytest.raises(zoo.ZooError, match="x was not written: 'sample' cannot be translated to"):
            translation.write(program_of(Generator(g)), tmp_path / "x", form(), {})
    assert list(tmp_path.iterdir()) == []


def test_what_depends_on_values_is_refused_by_graphs(tmp_path: Path) -> None:
    for form in ("onnx", "pt2"):
        with pytest.raises(zoo.ZooError, match="was not written"):
            translation.write(program_of(Generator(by_value)), tmp_path / "x", FORMATS[form](), {})
    assert list(tmp_path.iterdir()) == []


class Crooked(TorchScript):
    """A runtime that makes mistakes."""

    def __init__(self, mistake: Callable[[Tensor], Tensor]) -> None:
        self.mistake = mistake

    def open(self, path: Path) -> Callable[[Tensor], Tensor]:
        run = super().open(path)
        return lambda x: self.mistake(run(x))


def one_number(x: Tensor) -> Tensor:
    return x.index_fill(0, torch.tensor([0]), 0.0)


@pytest.mark.parametrize("mistake", [lambda x: x + 1e-3, one_number, torch.Tensor.double, lambda x: x[:, :1]])
def test_a_file_that_differs_is_not_left(mistake: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    file = tmp_path / "x.pt"
    file.write_bytes(b"what was here before")
    with pytest.raises(zoo.ZooError, match="was not written"):
        translation.write(program_of(Generator(torch.tanh)), file, Crooked(mistake), {})
    assert file.read_bytes() == b"what was here before"
    assert list(tmp_path.iterdir()) == [file]
    translation.write(program_of(Generator(torch.tanh)), file, Crooked(lambda x: x + 1e-6), {})
    assert is_zipfile(file)


def test_an_integer_may_be_another_only_at_the_edge_of_a_level() -> None:
    program = program_of(Generator(lambda z: z.floor().to(torch.uint8)))
    x = torch.tensor([[3.0 - 2e-6, 2.5], [7.0, 0.5]])
    assert program(x).tolist() == [[2, 2], [7, 0]]

    def gives(*rows: list[int]) -> Callable[[Tensor], Tensor]:
        return lambda x: torch.tensor(rows, dtype=torch.uint8)

    assert differences(program, gives([3, 2], [6, 0]), x).tolist() == []
    assert differences(program, gives([4, 2], [7, 0]), x).tolist() == [2]
    assert differences(program, gives([2, 3], [7, 1]), x).tolist() == [1, 1]


def test_neighbours_of_bounded_data_are_bounded() -> None:
    program = program_of(Generator(lambda x: (x * (1 - x)).sqrt()))
    assert differences(program, program, torch.tensor([[0.0, 1.0], [0.5, 0.1]])).tolist() == []


def test_numbers_that_are_none_do_not_agree() -> None:
    program = program_of(Generator(lambda z: z * float("nan")))
    assert len(differences(program, program, torch.ones(2, 2))) == 4


def toy(name: str) -> Any:
    """A model of the package of toys, made by hand."""
    net = zoo.declare(zoo.Conditioner, "mlp")
    module = import_module(f"zoo_toys.{name}")
    match name:
        case "nade":
            return module.NADE(zoo.Event("image", zoo.Shape(1, 2, 2), levels=4), hidden=4)
        case "gan":
            return module.GAN(POINT, generator=net, discriminator=net)
        case _:
            return module.ControlVAE(POINT, controller=torch.nn.Identity, encoder=net, decoder=net)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "zoo-toys")


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(
    ("name", "function", "reason"),
    [
        ("gan", None, "sample: it does not draw by decoding a latent; score: it does not score"),
        ("control_vae", "score", "score: it draws random numbers internally"),
        ("nade", "sample", "sample: it does not draw by decoding a latent"),
    ],
)
def test_models_that_are_no_function_are_refused(name: str, function: str | None, reason: str) -> None:
    with pytest.raises(zoo.UsageError, match=reason):
        program_of(toy(name), function)


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("form", FORMATS)
def test_a_scorer_of_integers_is_translated(form: str, tmp_path: Path) -> None:
    model = toy("nade").requires_grad_(False)
    program = program_of(model)
    assert isinstance(program, Scoring)
    file = translation.write(program, tmp_path / "x", FORMATS[form](), {})
    x = torch.randint(4, (5, 1, 2, 2), dtype=torch.uint8)
    assert torch.allclose(FORMATS[form]().open(file)(x), model.log_prob(x))


def test_a_stochastic_bound_is_no_function() -> None:
    model = assembly.build(load_spec("realnvp-mnist", small=True))
    assert isinstance(program_of(model), Sampling)
    with pytest.raises(zoo.UsageError, match=r"model 'flow' has no function .* \(score: it draws random"):
        program_of(model, "score")


def test_a_share_file_is_no_program(share: Maker) -> None:
    with pytest.raises(zoo.UsageError, match="expected a format to translate to: onnx, torchscript, pt2"):
        translate(share("realnvp-2d"))


# -- the command -------------------------------------------------------------------------------------------------------


def invoke(*args: object) -> Result:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_export_writes_programs(share: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = share("realnvp-2d")
    told = json.loads(invoke("export", file, "--format", "pt2", "--function", "score", "--json").stdout)
    digest = read_header(file).meta["digest"]
    assert told == {"output": "realnvp-2d.pt2", "digest": digest, "format": "pt2", "function": "score"}
    assert about(Path("realnvp-2d.pt2"))["function"] == "score"
    assert invoke("export", file, "-o", "by-ending.pt", "--licence", "MIT").stdout == "by-ending.pt\n"
    assert about(Path("by-ending.pt"))["licence"] == "MIT"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--format", "onx"], 2, "unknown format 'onx'; did you mean 'onnx'?"),
        (["--format", "pt2", "--function", "scor"], 2, "unknown function 'scor'; did you mean 'score'?"),
        (["--function", "score"], 2, "--function requires --format onnx, torchscript or pt2"),
    ],
)
def test_export_refuses(options: list[str], code: int, message: str, share: Maker) -> None:
    result = invoke("export", share("realnvp-2d"), *options)
    assert result.exit_code == code
    assert message in result.stderr


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named(
    package: str, share: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = invoke("export", share("realnvp-2d"), "-o", tmp_path / "x.onnx")
    assert result.exit_code == 4
    assert "pip install 'generative-zoo[onnx]'" in result.stderr
    assert list(tmp_path.iterdir()) == []
