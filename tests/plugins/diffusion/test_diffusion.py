"""Diffusion models: likelihoods and draws of Gaussian data in closed form, labels, completion, and what is refused."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo

gaussian: Any = import_module("zoo.plugins.diffusion.laws.gaussian")
Denoiser: Any = import_module("zoo.plugins.diffusion.nets.base").Denoiser
POINT = zoo.Event("point", zoo.Shape(4))
LABELLED = zoo.Event("point", zoo.Shape(2), classes=3)
FEATURED = zoo.Event("row", zoo.Shape(2), features=3)
TAKING = {"net": {"type": "time_mlp", "width": 8, "context": 3}}
DIGIT = zoo.Event("image", zoo.Shape(1, 4, 4), levels=17)


def model_of(event: zoo.Event = POINT, **node: Any) -> Any:
    torch.manual_seed(0)
    declared = {"type": "diffusion", "net": {"type": "time_mlp", "width": 8, "depth": 1}, **node}
    return zoo.declare(zoo.Model, declared)(event).double().eval()


class Perfect(Denoiser):  # type: ignore[misc]
    """The best network of a model for Gaussian data."""

    def __init__(self, model: Any) -> None:
        super().__init__(POINT.shape, POINT.shape)
        self.model = [model]

    def forward(self, x: Tensor, c: Tensor, context: Tensor | None = None) -> Tensor:
        (model,) = self.model
        log_snr = (500.0 - c) / 25.0
        t = model.path.time_of(log_snr)
        level = model.path.levels(t, x.dim())
        mean = gaussian.denoised(x / model.target.scale(level), level)
        target: Tensor = model.target.of(mean.data, mean.noise, level)
        return target


def perfect(**node: Any) -> Any:
    model = model_of(**node)
    model.net = Perfect(model)
    return model


def log_density(x: Tensor) -> Tensor:
    standard = (x - gaussian.MEAN).square() / gaussian.VARIANCE
    log_p: Tensor = -0.5 * (standard + torch.log(2.0 * math.pi * gaussian.VARIANCE)).sum(1)
    return log_p


def data(n: int) -> Tensor:
    noise = torch.randn(n, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x: Tensor = gaussian.MEAN + gaussian.VARIANCE.sqrt() * noise
    return x


PATHS: list[Any] = ["vp", "cosine", "rectified", "edm", "sigmoid", {"type": "shifted", "of": "vp", "by": 2}]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("target", ["v", "edm"])
def test_the_likelihood_of_gaussian_data_is_the_same_on_every_path(path: Any, target: str) -> None:
    solver = {"type": "rk4", "steps": 64}
    model = perfect(path=path, target=target, likelihood={"divergence": "exact", "solver": solver})
    x, grid = data(50), model.likelihood.grid
    found = model.log_prob(x)
    # The solution in closed form, to the normal distribution that the noise is taken to have.
    first, last = model.path.level(model.path.start), model.path.level(grid.moment(model.path, 0.0)[0])
    z = gaussian.carried(first.alpha * x, first, last) / model.spread
    growth = (last.alpha**2 * gaussian.VARIANCE + last.sigma**2) / (first.alpha**2 * gaussian.VARIANCE + first.sigma**2)
    log_det = 0.5 * growth.log().sum() + 4.0 * math.log(first.alpha / model.spread)
    wanted = -0.5 * z.square().sum(1) - 2.0 * math.log(2.0 * math.pi) + log_det
    assert (found - wanted).abs().max() <= 1e-3
    # That is the density of the data, but for the signal that is left at the end.
    assert (found - log_density(x)).abs().mean() <= 0.05


def test_probes_estimate_the_trace_without_bias() -> None:
    exact, probes = (perfect(likelihood={"divergence": kind}) for kind in ("exact", "rademacher"))
    x = data(20)
    # The Jacobian is diagonal here, where signs have no variance.
    assert torch.allclose(exact.log_prob(x), probes.log_prob(x), atol=1e-8)
    assert exact.exact and not probes.exact and probes.unbiased


@pytest.mark.parametrize("path", ["vp", "edm", {"type": "discrete", "steps": 100, "high": 0.2}])
def test_the_variational_bound_of_gaussian_data_is_that_in_closed_form(path: Any) -> None:
    """Each term of the bound has a closed form, and more steps bring it to the likelihood along the equation."""
    bounds, x = [], data(1000)
    for steps in (100, 1000):
        node = {"type": "elbo", "steps": steps, "grid": "karras"}
        model = perfect(path=path, target="v", likelihood=node)
        assert not model.exact and not model.unbiased
        levels = [model.path.level(t) for t in model.likelihood.grid.times(model.path, steps)]
        snr = [float((at.alpha / at.sigma) ** 2) for at in levels]
        v = gaussian.VARIANCE
        error = [float((v * at.sigma**2 / (at.alpha**2 * v + at.sigma**2)).sum()) for at in levels]
        wanted = -0.5 * sum((snr[i + 1] - snr[i]) * error[i] for i in range(steps - 1))
        first, last, n = levels[-1], levels[0], model.spread
        wanted -= 0.5 * (error[-1] * snr[-1] + 4.0 * math.log(2.0 * math.pi * first.sigma**2 / first.alpha**2))
        squares = float((gaussian.MEAN**2 + v).sum())
        ratio = last.sigma**2 / n**2
        wanted -= 0.5 * (last.alpha**2 / n**2 * squares + 4.0 * (ratio - 1.0 - math.log(ratio)))
        torch.manual_seed(0)
        found = model.log_prob(x)
        assert abs(float(found.mean()) - wanted) <= 4.0 * float(found.std()) / len(x) ** 0.5
        bounds.append(wanted)
    # The gap to the likelihood falls with the steps.
    entropy = float(0.5 * torch.log(2.0 * math.pi * math.e * gaussian.VARIANCE).sum())
    few, many = (-entropy - bound for bound in bounds)
    assert 0.0 < many < 0.15 * few, (few, many)


def test_some_terms_estimate_the_bound_without_bias() -> None:
    bound = model_of(likelihood={"type": "elbo", "terms": 4}).likelihood
    torch.manual_seed(0)
    error = torch.linspace(1.0, 3.0, 39, dtype=torch.float64).square()
    found = torch.stack([39 / 4 * error[bound._chosen(39)].sum() for _ in range(2000)])
    assert abs(float(found.mean() - error.sum())) <= 4.0 * float(found.std()) / 2000**0.5
    # They lie at equal distances: four of them vary less than four independent ones.
    assert found.std() <= 0.5 * 39 * error.std() / 2.0


def test_the_bound_of_levels_is_a_code_length() -> None:
    """Masses of all levels sum to one, given the last noisy data: so do those of cells in the tails."""
    elbo: Any = import_module("zoo.plugins.diffusion.likelihoods.elbo")
    model = model_of(DIGIT, likelihood="elbo", path="cosine", target="v")
    x = torch.randint(17, (3, 1, 4, 4)).to(torch.uint8)
    assert model.log_prob(x).isfinite().all() and (model.log_prob(x) < 0.0).all()
    centre, masses = torch.linspace(-1.0, 1.0, 17, dtype=torch.float64), []
    for mean in (1.3, -1.3):
        low = torch.where(centre < -0.99, -elbo.FAR, (centre - 1 / 16 - mean) / 0.05)
        high = torch.where(centre > 0.99, elbo.FAR, (centre + 1 / 16 - mean) / 0.05)
        masses.append(elbo.log_normal_between(low, high))
        assert masses[-1].isfinite().all() and abs(float(masses[-1].exp().sum()) - 1.0) <= 1e-9
    # Cells in both tails are as exact: their masses are far below the precision of one.
    assert torch.allclose(masses[0], masses[1].flip(0)) and masses[0][0] <= -900.0


def test_draws_of_gaussian_data_have_its_moments_and_codes_lead_back() -> None:
    model = perfect(path="vp", target="v", solver={"type": "dpmpp_2s", "steps": 64, "grid": "log_snr"})
    torch.manual_seed(0)
    x = model.sample(4000)
    assert (x.mean(0) - gaussian.MEAN).abs().max() <= 0.15
    assert (x.var(0) / gaussian.VARIANCE - 1.0).abs().max() <= 0.15
    assert (model.decode(model.encode(data(20))) - data(20)).abs().max() <= 0.02


@pytest.mark.parametrize(
    "sampler",
    ["ancestral", "churn", {"type": "ancestral", "variance": "large"}, {"type": "predictor_corrector", "steps": 100}],
)
def test_stochastic_samplers_draw_the_data_too(sampler: Any) -> None:
    model = perfect(path="cosine", target="v")
    torch.manual_seed(0)
    x = zoo.declare(zoo.Sampler, sampler)(model).sample(4000)
    assert (x.mean(0) - gaussian.MEAN).abs().max() <= 0.15
    assert (x.var(0)[1:] / gaussian.VARIANCE[1:] - 1.0).abs().max() <= 0.2


def test_without_noise_stochastic_samplers_are_deterministic_ones() -> None:
    model = perfect(path="vp", target="v")
    solver = {"type": "ddim", "steps": 8}
    pairs = (
        ({"type": "ancestral", "steps": 8, "eta": 0.0}, {"type": "ode", "solver": solver}),
        ({"type": "churn", "churn": 0.0, "solver": solver}, {"type": "ode", "solver": solver}),
    )
    for noisy, plain in pairs:
        drawn = []
        for node in (noisy, plain):
            torch.manual_seed(0)
            drawn.append(zoo.declare(zoo.Sampler, node)(model).sample(3))
        assert torch.equal(*drawn)


def test_the_perfect_network_has_no_excess_loss() -> None:
    """Whatever the path, the target and the times: the loss is what is left of the noise, and another is larger."""
    found = []
    for path, target, times in (
        ("cosine", "v", "uniform"),
        ("rectified", "velocity", "logit_normal"),
        ("vp", "edm", "uniform"),
    ):
        model = perfect(path=path, target=target, times=times, weighting={"type": "sigmoid", "bias": -1.0})
        torch.manual_seed(0)
        batch, clock = {"point": data(20000)}, zoo.Clock(torch.tensor(0), 1)
        found.append(float(model(batch, clock).loss))
    assert max(found) / min(found) <= 1.15, found


def test_learned_weights_are_the_inverse_of_the_errors() -> None:
    """Trained on errors that are known, each log-SNR has its declared share of the loss."""
    kinds: Any = import_module("zoo.plugins.diffusion.weightings")
    path = zoo.declare(import_module("zoo.plugins.diffusion.paths.base").Path, "edm")()
    weighting = zoo.declare(kinds.NoiseWeighting, {"type": "learned", "mean": 0.0, "sd": 1.5})(path).double()
    log_snr = torch.linspace(-8.0, 8.0, 400, dtype=torch.float64)
    error = 3.0 * torch.sigmoid(log_snr)  # of one number
    optimizer = torch.optim.LBFGS(weighting.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value: Tensor = (weighting(log_snr) * error + weighting.penalty(log_snr)).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    middle = log_snr.abs() <= 4.0
    off = (weighting.uncertainty(log_snr) - error.log())[middle].abs().max()
    assert off <= 0.05, off


def test_learned_weights_are_trained_with_the_model() -> None:
    model = model_of(weighting="learned").train()
    torch.nn.init.normal_(model.net.last.weight)
    model({"point": data(64)}, zoo.Clock(torch.tensor(0), 1)).loss.backward()
    assert model.weighting.cosines.grad.abs().min() > 0.0


def test_bits_of_a_uniform_model_are_those_of_its_levels() -> None:
    """The scale of the network, the cells and the dequantisation cancel: a density of one cell a level."""
    for dequantize in (None, "uniform"):
        model = model_of(DIGIT, **({"dequantize": dequantize} if dequantize else {}))
        x = torch.randint(17, (6, 1, 4, 4)).to(torch.uint8)
        _, log_det = model.scaled(x, fill=True)
        width = 2.0 / 16 if dequantize is None else 2.0 / 17
        assert torch.allclose(log_det, torch.full_like(log_det, 16 * math.log(width)))
        assert torch.equal(model.as_data(model.scaled(x)[0]), x)


def test_dropped_labels_train_the_vector_of_none() -> None:
    node: dict[str, Any] = {
        "net": {"type": "time_mlp", "width": 8, "context": 4},
        "context": {"type": "embedding", "size": 4},
    }
    for dropout, none, some in ((1.0, True, False), (1e-9, False, True)):
        model = model_of(LABELLED, **node, label_dropout=dropout)
        torch.nn.init.ones_(model.net.last.weight)
        batch = {"point": torch.randn(6, 2, dtype=torch.float64), "label": torch.tensor([0, 1, 2, 0, 1, 2])}
        model(batch, zoo.Clock(torch.tensor(0), 1)).loss.backward()
        assert bool(model.null.grad.any()) == none
        assert bool(model.context.vectors.weight.grad.any()) == some


def test_guidance_of_scale_one_is_the_conditional_model() -> None:
    node: dict[str, Any] = {
        "net": {"type": "time_mlp", "width": 8, "context": 4},
        "context": {"type": "embedding", "size": 4},
        "label_dropout": 0.1,
    }
    z, label = torch.randn(3, 2, dtype=torch.float64), {"label": torch.tensor([0, 1, 2])}
    plain = model_of(LABELLED, **node)
    torch.nn.init.ones_(plain.net.last.weight)
    drawn = {}
    for scale in (1.0, 2.0):
        guided = model_of(LABELLED, **node, guidance={"type": "classifier_free", "scale": scale})
        guided.load_state_dict(plain.state_dict())
        drawn[scale] = guided.decode(z, label)
    assert torch.equal(drawn[1.0], plain.decode(z, label))
    assert not torch.allclose(drawn[2.0], drawn[1.0])


def test_completions_keep_what_is_known() -> None:
    model = perfect(path="vp", target="v")
    x = data(3)
    mask = torch.tensor([True, False, True, False]).expand(3, 4)
    torch.manual_seed(0)
    found = model.complete(zoo.Known(x, mask))
    assert torch.equal(found[mask], x[mask]) and not torch.equal(found, x)


def test_optimal_transport_pairs_what_is_near_within_each_label() -> None:
    """In one dimension the optimal pairing is that of the sorted numbers."""
    ot: Any = import_module("zoo.plugins.diffusion.couplings").MinibatchOT()
    torch.manual_seed(0)
    data, noise, label = torch.randn(64, 1), torch.randn(64, 1), torch.randint(3, (64,))
    for labels in (None, label):
        found = ot(data, noise, labels)
        for k in (0, 1, 2) if labels is not None else (None,):
            mine = torch.ones(64, dtype=torch.bool) if k is None else label == k
            order = data[mine].flatten().argsort()
            assert torch.equal(found[mine][order].flatten(), noise[mine].flatten().sort().values)


def test_a_coupling_pairs_within_the_labels_that_the_model_is_given() -> None:
    seen = []
    node: dict[str, Any] = {"net": {"type": "time_mlp", "width": 8, "context": 4}}
    batch = {"point": torch.randn(6, 2), "label": torch.tensor([0, 1, 2, 0, 1, 2])}
    for context in ({**node, "context": {"type": "embedding", "size": 4}}, {}):
        model = model_of(LABELLED, coupling="minibatch_ot", **context).float()
        whole = type(model.coupling).__call__

        def spied(self: Any, data: Tensor, noise: Tensor, labels: Any, whole: Any = whole) -> Tensor:
            seen.append(labels)
            return whole(self, data, noise, labels)  # type: ignore[no-any-return]

        model.coupling.__class__ = type("Spied", (type(model.coupling),), {"__call__": spied})
        model(batch, zoo.Clock(torch.tensor(0), 1))
    assert torch.equal(seen[0], batch["label"]) and seen[1] is None
    with pytest.raises(zoo.SpecError, match="the model's coupling does not give: use the sampler 'ode'"):
        zoo.declare(zoo.Sampler, "ancestral")(model)
    zoo.declare(zoo.Sampler, "ode")(model)


@pytest.mark.parametrize(
    ("event", "node", "message"),
    [
        (POINT, {"target": "noise"}, "the target 'noise' has no data in it at the end of its path"),
        (POINT, {"label_dropout": 0.1}, "label_dropout needs a context"),
        (POINT, {"guidance": "classifier_free"}, "guidance needs a context and label_dropout"),
        (POINT, {"dequantize": "uniform"}, "'point' is continuous: leave out dequantize"),
        (DIGIT, {"dequantize": "uniform", "likelihood": "elbo"}, "is of levels themselves: leave out dequantize"),
        (POINT, {"coupling": "minibatch_ot", "likelihood": "elbo"}, "needs an independent coupling"),
        (POINT, {"likelihood": {"type": "elbo", "term": 5}}, "'term' is not a parameter .* did you mean 'terms'"),
        (POINT, {"likelihood": {"divergenc": "exact"}}, "'divergenc' is not a parameter .* did you mean 'divergence'"),
        (LABELLED, {"context": "one_hot"}, "no part takes its context"),
        (FEATURED, {**TAKING, "context": "feature_vector", "coupling": "minibatch_ot"}, "a context of labels alone"),
    ],
)
def test_what_does_not_fit_is_refused(event: zoo.Event, node: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        model_of(event, **node)


def test_corrections_mend_what_the_predictor_got_wrong() -> None:
    """Langevin steps alone, at a level of noise, lead to its distribution from another one."""
    samplers: Any = import_module("zoo.plugins.diffusion.samplers")
    path = zoo.declare(import_module("zoo.plugins.diffusion.paths.base").Path, "vp")()
    level = path.level(0.3)
    torch.manual_seed(0)
    x = torch.randn(3000, 4, dtype=torch.float64) + 3.0
    for _ in range(300):
        x = samplers.langevin_step(x, gaussian.denoised(x, level), level, torch.randn_like(x), 0.16)
    wanted = level.alpha**2 * gaussian.VARIANCE + level.sigma**2
    assert (x.mean(0) - level.alpha * gaussian.MEAN).abs().max() <= 0.1
    assert (x.var(0) / wanted - 1.0).abs().max() <= 0.2


def test_a_draw_depends_on_its_own_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given its noise, a row of a batch is drawn as it is alone: by each sampler, and by each solver."""
    for node in ("ode", "ancestral", "churn", {"type": "predictor_corrector", "steps": 10}):
        model = perfect(path="vp", target="v")
        sampler = zoo.declare(zoo.Sampler, node)(model)
        noise = torch.Generator()

        def drawn(rows: slice, sampler: Any = sampler, model: Any = model, noise: Any = noise) -> Tensor:
            noise.manual_seed(0)
            monkeypatch.setattr(torch, "randn_like", lambda x: torch.randn(5, 4, generator=noise).to(x)[rows])
            monkeypatch.setattr(model, "draw_latent", lambda *_: torch.randn(5, 4, generator=noise).double()[rows])
            return sampler.sample(1)  # type: ignore[no-any-return]

        whole = drawn(slice(5))
        assert torch.allclose(torch.cat([drawn(slice(i, i + 1)) for i in range(5)]), whole, atol=1e-9), node
        monkeypatch.undo()


@pytest.mark.parametrize(("solver", "fewest"), [("dpmpp_2m", 3), ("dpmpp_3m", 4), ("unipc", 3)])
def test_solvers_need_enough_steps(solver: str, fewest: int) -> None:
    model_of(solver={"type": solver, "steps": fewest})
    with pytest.raises(zoo.SpecError, match=rf"needs at least {fewest} steps, got {fewest - 1}") as caught:
        model_of(solver={"type": solver, "steps": fewest - 1})
    assert "solver" in str(caught.value)


def test_adaptive_steps_solve_to_a_tolerance() -> None:
    pytest.importorskip("torchdiffeq")
    path, kind = (import_module(f"zoo.plugins.diffusion.{name}") for name in ("paths.closed", "solvers.base"))
    vp, errors = path.VariancePreserving(), []
    x = gaussian.start(vp, vp.end, 3)
    for tolerance in (1e-3, 1e-7):
        node = {"type": "adaptive", "rtol": tolerance, "atol": tolerance}
        solver = zoo.declare(kind.DiffusionSolver, node)()
        found = solver.solve(lambda x, t: gaussian.denoised(x, vp.level(t)), vp, x, solver.grid.times(vp, solver.steps))
        errors.append(float((found - gaussian.carried(x, vp.level(vp.end), vp.level(vp.start))).abs().max()))
    assert errors[0] <= 0.02 and errors[1] <= 1e-5 and errors[1] < 0.01 * errors[0]


def test_samplers_need_a_diffusion_model_and_no_memory() -> None:
    with pytest.raises(zoo.SpecError, match="does not remember earlier steps"):
        zoo.declare(zoo.Sampler, {"type": "churn", "solver": "dpmpp_2m"})(model_of())
    flow = zoo.declare(zoo.Model, {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]})(POINT)
    with pytest.raises(zoo.SpecError, match="needs a diffusion model"):
        zoo.declare(zoo.Sampler, "ancestral")(flow)
