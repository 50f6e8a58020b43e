"""Continuous flows: linear ones in closed form, solvers by their order, estimates that are unbiased."""

from __future__ import annotations

import copy
import math
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import BIJECTION_LAWS, Case, LawBroken, cases, inputs, liven, perturb

OdeSolver: Any = import_module("zoo.plugins.shared.ode").OdeSolver
adaptive: Any = import_module("zoo.plugins.shared.ode")
MLP = {"type": "mlp", "width": 8, "depth": 1, "activation": "tanh"}
CONV = {"type": "resnet", "width": 4, "blocks": 1, "activation": "tanh"}
TIGHT = {"type": "adaptive", "method": "dopri8", "rtol": 1e-13, "atol": 1e-13, "gradient": "backprop"}
SHORT = {"type": "rk4", "steps": 4}
CASES = list(
    cases(
        zoo.Bijection,
        continuous_images={"type": "continuous", "velocity": CONV, "solver": SHORT, "time": 0.05},
        continuous_adaptive={"type": "continuous", "velocity": MLP, "solver": TIGHT, "time": 0.25},
    )
)
LAWS = [
    (case, law)
    for case in CASES
    for law in BIJECTION_LAWS
    if (case.label == "continuous_images" and law != "compiles" and case.given[0].size == 16)
    # Steps that depend on values can be neither traced nor known on the meta device: see below.
    or (case.label == "continuous_adaptive" and law not in ("compiles", "runs_on_meta") and case.given[0].size == 2)
]


@pytest.mark.parametrize(("case", "law"), LAWS, ids=str)
def test_law(case: Case, law: str) -> None:
    bijection = liven(case.build())
    BIJECTION_LAWS[law](bijection, inputs(bijection, 4, seed=7))


class Linear(zoo.Conditioner):
    """The velocity A x + t b."""

    def __init__(self, A: Tensor, b: Tensor) -> None:
        super().__init__(zoo.Shape(len(A) + 1), zoo.Shape(len(A)))
        self.weight = torch.nn.Parameter(torch.cat((A, b.unsqueeze(1)), dim=1))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return x @ self.weight.T


def built(*shape: int, **node: Any) -> Any:
    return zoo.declare(zoo.Bijection, {"type": "continuous", **node})(zoo.Shape(*shape)).double()


def linear(D: int = 3, push: float = 0.0, **node: Any) -> tuple[Any, Tensor]:
    """A flow along a linear velocity, and its matrix."""
    noise = torch.Generator().manual_seed(1)
    A = 0.5 * torch.randn(D, D, generator=noise, dtype=torch.float64)
    part = built(D, **node)
    part.velocity = Linear(A, push * torch.ones(D, dtype=torch.float64))
    return part, A


# -- closed forms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", [0.5, 2.0])
@pytest.mark.parametrize("solver", [{"type": "rk4", "steps": 400}, TIGHT, {**TIGHT, "method": "dopri5"}], ids=str)
def test_linear_flow_is_the_exponential(solver: dict[str, Any], time: float) -> None:
    """z = exp(A T) x, and the log-determinant is T tr A."""
    part, A = linear(solver=solver, time=time)
    x = inputs(part, 5)
    z, log_det = part(x)
    assert torch.allclose(z, x @ torch.linalg.matrix_exp(time * A).T, rtol=1e-9, atol=1e-9)
    assert torch.allclose(log_det, (time * A.trace()).expand(5), atol=1e-9)
    back, home = part.inverse(z)
    assert torch.allclose(back, x, atol=1e-9)
    assert torch.allclose(home, -log_det, atol=1e-9)


def test_the_velocity_is_told_the_time() -> None:
    """With v = t it is T^2 / 2 that is added, both ways from the right end."""
    part, _ = linear(push=1.0, time=3.0)
    with torch.no_grad():
        part.velocity.weight[:, :-1] = 0.0
    x = inputs(part, 5)
    z, log_det = part(x)
    assert torch.allclose(z, x + 4.5)
    assert log_det.abs().max() == 0.0
    assert torch.allclose(part.decode(z), x)


def test_runge_kutta_is_of_order_four() -> None:
    solvers = [{"type": "rk4", "steps": steps} for steps in (4, 8, 16, 400)]
    parts = [linear(push=0.5, solver=solver, time=2.0)[0] for solver in solvers]
    *coarse, fine = [part(inputs(part, 5))[0] for part in parts]
    errors = [(z - fine).abs().max().item() for z in coarse]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(3.7 < order < 4.3 for order in orders), orders


def test_context_moves_the_velocity() -> None:
    part = built(2, velocity={**MLP, "context": 3}, solver=SHORT)
    perturb(part, seed=0)
    x = inputs(part, 4)
    context = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    z, _ = part(x, context)
    assert (part(x, 2.0 * context)[0] - z).abs().max() > 1e-3
    assert torch.allclose(part.decode(z, context), x, atol=1e-4)


# -- estimates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", ["rademacher", "normal"])
def test_hutchinsons_trace_is_unbiased(noise: str) -> None:
    part, A = linear(4, divergence=noise, solver={"type": "rk4", "steps": 8})
    x = torch.zeros(40_000, 4, dtype=torch.float64)
    torch.manual_seed(0)
    log_det = part(x)[1]
    error = log_det.std() / math.sqrt(len(x))
    assert (log_det.mean() - A.trace()).abs() < 4.0 * error
    assert 4.0 * error < 0.05


def test_noise_is_drawn_once_for_a_solution() -> None:
    """Along one direction e, a linear velocity has the divergence e.A e at all times, whatever the number of steps."""
    values = []
    for steps in (1, 7):
        part, _ = linear(divergence="rademacher", solver={"type": "rk4", "steps": steps})
        torch.manual_seed(0)
        values.append(part(torch.ones(20, 3, dtype=torch.float64))[1])
    assert torch.allclose(values[0], values[1], atol=1e-12)
    assert values[0].std() > 0.1


@pytest.mark.parametrize(("divergence", "exact"), [("exact", True), ("rademacher", False), ("normal", False)])
def test_a_flow_knows_whether_its_likelihood_is_exact(divergence: str, exact: bool) -> None:
    transforms = ["reverse", {"type": "continuous", "divergence": divergence}]
    node = {"type": "flow", "base": "standard_normal", "transforms": transforms}
    flow: Any = zoo.declare(zoo.Model, node)(zoo.Event("point", zoo.Shape(2)))
    assert flow.exact == exact


def test_the_estimate_is_of_the_same_path() -> None:
    exact, random = (built(3, velocity=MLP, divergence=kind, solver=SHORT) for kind in ("exact", "normal"))
    perturb(exact, seed=0)
    random.load_state_dict(exact.state_dict())
    x = inputs(exact, 4)
    assert torch.equal(exact(x)[0], random(x)[0])


# -- the solver's error -----------------------------------------------------------------------------------------------


EXAMPLES = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def strong(**node: Any) -> Any:
    """A flow with one continuous layer of a strong velocity."""
    torch.manual_seed(0)
    flow: Any = zoo.declare(
        zoo.Model,
        {
            "type": "flow",
            "base": "standard_normal",
            "transforms": [{"type": "continuous", "velocity": MLP, "time": 2.0, **node}],
        },
    )(zoo.Event("point", zoo.Shape(2))).double()
    perturb(flow, seed=3, scale=1.0)
    return flow


def scored(**node: Any) -> tuple[Any, dict[str, Any], Tensor]:
    """Such a flow, its figures, and log p of the examples."""
    flow = strong(**node)
    torch.manual_seed(1)
    found = zoo.declare(zoo.Metric, "nll")().measure(flow, [{"point": EXAMPLES[:25]}, {"point": EXAMPLES[25:]}])
    with torch.no_grad():
        return flow, dict(found), flow.log_prob(EXAMPLES)


@pytest.fixture(scope="module")
def true() -> Tensor:
    """log p of the examples, by steps so small that their own error does not count."""
    with torch.no_grad():
        log_p: Tensor = strong(solver={"type": "rk4", "steps": 200}).log_prob(EXAMPLES)
    return log_p


@pytest.mark.parametrize("steps", [4, 6, 8])
def test_the_error_of_a_solver_is_measured_by_steps_of_half_the_size(steps: int, true: Tensor) -> None:
    _, found, log_p = scored(solver={"type": "rk4", "steps": steps})
    error = (log_p - true).abs().mean().item()
    assert error > 1e-3
    assert found["nll.solver_error"].value == pytest.approx(error, rel=0.1)
    assert found["nll.solver_error"].n == 40
    assert found["nll"].kind == "estimate"


@pytest.mark.parametrize("solver", [{"type": "rk4", "steps": 60}, TIGHT], ids=str)
def test_below_the_tolerance_the_likelihood_is_exact(solver: dict[str, Any]) -> None:
    _, found, _ = scored(solver=solver)
    assert found["nll"].kind == "exact"
    assert 0.0 < found["nll.solver_error"].value < 1e-5


def test_a_loose_adaptive_solver_is_no_more_exact_than_a_coarse_one() -> None:
    _, found, _ = scored(solver={"type": "adaptive", "rtol": 0.3, "atol": 0.3})
    assert found["nll"].kind == "estimate"


def test_measuring_the_error_changes_nothing() -> None:
    flow, found, log_p = scored(solver=SHORT)
    assert found["nll"].value == pytest.approx(-log_p.mean().item(), abs=1e-12)
    assert type(flow.transforms.of[0].solver).__name__ == "RungeKutta4"


def test_an_estimate_of_the_trace_is_an_estimate_and_its_noise_is_no_error_of_the_solver() -> None:
    _, found, _ = scored(divergence="rademacher", solver={"type": "rk4", "steps": 60})
    assert found["nll"].kind == "estimate"
    assert found["nll.solver_error"].value < 1e-5


def test_what_solves_nothing_has_no_error_of_a_solver() -> None:
    node = {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]}
    flow: Any = zoo.declare(zoo.Model, node)(zoo.Event("point", zoo.Shape(2)))
    found = zoo.declare(zoo.Metric, "nll")().measure(flow, [{"point": torch.zeros(3, 2)}])
    assert (list(found), found["nll"].kind) == (["nll"], "exact")


def test_the_other_figures_of_a_likelihood_know_the_error_too() -> None:
    flow, _, _ = scored(solver=SHORT)
    metric = zoo.declare(zoo.Metric, {"type": "reverse_kl", "energy": "u1", "draws": 50})()
    found = metric.measure(flow, [])
    assert found["reverse_kl"].kind == "estimate"
    assert found["reverse_kl.solver_error"].value > 1e-3


# -- adaptive solvers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["dopri5", "dopri8", "bosh3", "adaptive_heun"])
def test_every_method_keeps_its_tolerance(method: str) -> None:
    part, A = linear(solver={"type": "adaptive", "method": method, "rtol": 1e-6, "atol": 1e-6})
    x = inputs(part, 5)
    assert torch.allclose(part(x)[0], x @ torch.linalg.matrix_exp(A).T, atol=1e-4)


@pytest.mark.parametrize("contextual", [False, True])
def test_adjoint_gradients_are_those_of_backprop(contextual: bool) -> None:
    """In x, in the parameters and in the context."""
    found = []
    for gradient in ("adjoint", "backprop"):
        solver = {**TIGHT, "rtol": 1e-10, "atol": 1e-10, "gradient": gradient}
        part = built(2, velocity={**MLP, "context": 3 if contextual else 0}, solver=solver)
        with torch.no_grad():
            for i, parameter in enumerate(part.parameters()):
                parameter.copy_(torch.linspace(-1.0, 1.0 + 0.1 * i, parameter.numel()).view_as(parameter))
        x = inputs(part, 4).requires_grad_(True)
        context = torch.ones(4, 3, dtype=torch.float64, requires_grad=True) if contextual else None
        z, log_det = part(x, context)
        leaves = [x, *part.parameters(), *([] if context is None else [context])]
        found.append(torch.autograd.grad(z.square().sum() + log_det.sum(), leaves))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-7)
        assert one.abs().max() > 1e-3


def test_a_model_with_an_adaptive_solver_is_copied() -> None:
    part = built(2, solver="adaptive")
    assert torch.equal(copy.deepcopy(part)(torch.ones(1, 2).double())[0], torch.ones(1, 2).double())


def test_what_cannot_be_solved_is_told() -> None:
    part, _ = linear(solver={"type": "adaptive", "rtol": 1e-10, "atol": 1e-10, "max_steps": 3})
    with pytest.raises(zoo.ZooError, match="failed between t = 0 and 1"):
        part(inputs(part, 5))


def test_an_adaptive_solver_needs_values() -> None:
    """So that a spec with one is checked on the CPU."""
    part = built(2, solver="adaptive").to("meta")
    with pytest.raises(NotImplementedError, match="meta"):
        part(torch.zeros(2, 2, device="meta"))
    node = {
        "name": "adaptive",
        "data": {"type": "toy2d", "figure": "rings"},
        "model": {
            "type": "flow",
            "base": "standard_normal",
            "transforms": [{"type": "continuous", "velocity": MLP, "solver": "adaptive"}],
        },
        "train": {"steps": 1, "batch": 2, "optimizer": "adam"},
    }
    assembly = import_module("zoo.assembly.build")
    assert assembly.check(zoo.load_spec(node)).parameters == 4 * 8 + 9 * 2


def test_a_spec_with_an_adaptive_solver_trains_and_samples_where_nothing_has_imported_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchdiffeq"]:
        monkeypatch.delitem(sys.modules, name)
    solver = {"type": "adaptive", "rtol": 1e-3, "atol": 1e-3}
    node = {
        "name": "adaptive",
        "data": {"type": "toy2d", "figure": "rings", "size": 64, "test_size": 16},
        "model": {
            "type": "flow",
            "base": "standard_normal",
            "transforms": [{"type": "continuous", "velocity": MLP, "solver": solver}],
        },
        "train": {"steps": 2, "batch": 8, "optimizer": "adam"},
        "engine": {"compile": "off"},
        "evaluate": ["nll"],
    }
    assembly = import_module("zoo.assembly.build")
    assembly.check(zoo.load_spec(node))
    run = zoo.train(node, runs=tmp_path)
    assert math.isfinite(run.metrics["nll"])
    model = zoo.load(run.directory / "model.safetensors")
    assert isinstance(model, zoo.Samples) and model.sample(3).isfinite().all()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(adaptive, "import_module", missing)
    with pytest.raises(zoo.PluginError, match=r"pip install 'generative-zoo\[ode\]'"):
        zoo.declare(OdeSolver, "adaptive")()
    zoo.declare(OdeSolver, "rk4")()


def test_steps_of_any_tolerance_end_in_float32() -> None:
    part = built(2, velocity=MLP, solver=TIGHT).float()
    perturb(part, seed=0)
    x = inputs(part, 4).float()
    assert torch.allclose(part.decode(part(x)[0]), x, atol=1e-4)


# -- defects -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "law"),
    [
        ("divergence", "rademacher", "log_det_is_jacobian"),
        ("solver", {"type": "rk4", "steps": 1}, "inverse_inverts"),
        ("solver", {"type": "adaptive"}, "inverse_inverts"),
    ],
)
def test_what_is_not_exact_is_found(name: str, value: Any, law: str) -> None:
    """An estimate of the trace, and solvers that are too coarse: the laws see the difference."""
    part = built(3, **{"velocity": MLP, "solver": {"type": "rk4", "steps": 32}, "time": 0.5, name: value}).eval()
    perturb(part, seed=0)
    x = inputs(part, 4)
    with pytest.raises(LawBroken):
        BIJECTION_LAWS[law](part, x)
    sound = built(3, velocity=MLP, solver={"type": "rk4", "steps": 32}, time=0.5).eval()
    sound.load_state_dict(part.state_dict())
    BIJECTION_LAWS[law](sound, x)
