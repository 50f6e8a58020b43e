"""Pictures of diffusion models: the way of a draw, variations, interpolations; and energies, which share the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import zoo

if TYPE_CHECKING:
    from plugins.shared.maps import ARROW, maps
else:
    from zoo.plugins.shared.maps import ARROW, maps

DIGIT = zoo.Event("image", zoo.Shape(1, 6, 6), levels=17)
POINT = zoo.Event("point", zoo.Shape(2))


def model_of(event: zoo.Event, **node: Any) -> Any:
    torch.manual_seed(0)
    declared = {"type": "diffusion", "net": {"type": "time_mlp", "width": 8, "depth": 1}, "target": "v", **node}
    model = zoo.declare(zoo.Model, declared)(event).double().eval()
    torch.nn.init.normal_(model.net.last.weight, std=0.1)
    return model


def view_of(model: Any, node: Any) -> Any:
    return zoo.declare(zoo.View, node)(model)


@pytest.mark.parametrize("path", ["vp", "edm", "rectified"])
def test_a_way_begins_with_noise_and_ends_with_the_draw(path: str) -> None:
    model = model_of(DIGIT, path=path, solver={"type": "heun", "steps": 16})
    torch.manual_seed(1)
    states = model.trace(400, 8)
    torch.manual_seed(1)
    z = model.draw_latent(400)
    assert states.shape == (8, 400, 1, 6, 6)
    assert torch.equal(states[-1], model.expect(z))
    assert torch.allclose(states[0], (0.5 * z + 0.5).clamp(0.0, 1.0), atol=1e-3)
    # Each state is nearer to the draw than the one before.
    off = (states - states[-1]).square().mean((1, 2, 3, 4))
    assert (off.diff() <= 1e-6).all()


def test_a_way_of_few_steps_has_few_states() -> None:
    model = model_of(POINT, solver={"type": "euler", "steps": 3})
    assert model.trace(2, 8).shape == (3, 2, 2)
    picture = view_of(model, {"type": "path", "frames": 8}).draw(100, 1.0)
    assert picture.shape[0] == 3 and picture.dtype == torch.uint8


def test_the_way_of_labelled_draws_has_the_labels_of_the_data() -> None:
    event = zoo.Event("image", zoo.Shape(1, 6, 6), levels=17, classes=3)
    net = {"type": "time_mlp", "width": 8, "context": 4}
    model = model_of(event, net=net, context={"type": "embedding", "size": 4})
    view = view_of(model, "path")
    with pytest.raises(ValueError, match="needs data: the model is conditioned on its label"):
        view.draw(2, 1.0)
    assert view.draw(3, 1.0, event.example(2, "cpu")).shape == (3, 152, 402)


def test_arrows_show_where_points_go_next() -> None:
    x = torch.full((500, 2), -0.5)  # the middle of the lower left
    for move, outside in (([0.1, 0.0], "left"), ([-0.1, 0.0], "right"), ([0.0, 0.1], "below"), ([0.0, -0.1], "above")):
        still, moved = maps([x]), maps([x], [torch.tensor(move).expand_as(x)])
        rows, columns = (moved == torch.tensor(ARROW, dtype=torch.uint8).reshape(3, 1, 1)).all(0).nonzero().unbind(1)
        H, W = still.shape[1:]
        beyond = {
            "left": columns < W / 22 - 1,
            "right": columns > W / 22 + 1,
            "below": rows > 21 * H / 22 + 1,
            "above": rows < 21 * H / 22 - 1,
        }
        heads = 0.25 * len(rows)  # lines of the head are on either side
        assert len(rows) > 10 and not torch.equal(still, moved)
        assert beyond[outside].sum() <= heads, outside


def test_more_steps_come_nearer_to_the_same_draw() -> None:
    model = model_of(POINT, path="rectified", target="velocity", solver={"type": "heun", "steps": 2})
    z = model.draw_latent(50)
    exact = model.expect_in(512, z)
    off = [float((model.expect_in(steps, z) - exact).norm().detach()) for steps in (2, 8, 32)]
    assert off[0] > 4 * off[1] > 16 * off[2] > 0.0
    assert torch.equal(model.expect_in(2, z), model.expect(z))
    assert view_of(model, {"type": "solver_steps", "steps": [2, 8]}).draw(50, 1.0).shape == (3, 240, 484)
    line = model_of(zoo.Event("number", zoo.Shape(1)), solver={"type": "euler", "steps": 2})
    assert view_of(line, {"type": "solver_steps", "steps": [1, 2, 4]}).draw(50, 1.0).shape[0] == 3


@pytest.mark.parametrize(
    ("solver", "steps", "message"),
    [("adaptive", [4], "chooses the steps itself"), ("dpmpp_3m", [1, 4], "needs at least 4 steps, got 1")],
)
def test_steps_that_a_solver_cannot_take_are_refused(solver: str, steps: list[int], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        view_of(model_of(POINT, solver=solver), {"type": "solver_steps", "steps": steps})


def test_energies_have_a_way_too() -> None:
    chain = {"type": "annealed", "of": {"type": "langevin", "steps": 4}, "levels": 2}
    node = {"type": "energy_based", "energy": "quadratic", "chain": chain}
    model: Any = zoo.declare(zoo.Model, node)(POINT).eval()
    torch.manual_seed(1)
    states = model.trace(5, 20)
    torch.manual_seed(1)
    assert states.shape == (9, 5, 2) and torch.equal(states[-1], model.sample(5))


def test_reflow_has_the_way_of_its_student_and_the_error_of_its_solver() -> None:
    node = {"type": "diffusion", "net": {"type": "time_mlp", "width": 8}, "solver": {"type": "euler", "steps": 6}}
    declared = {"type": "reflow", "student": node, "teacher": {**node, "target": "data"}}
    model: Any = zoo.declare(zoo.Model, declared)(POINT).eval()
    found = []
    for each in (model, model.student):
        torch.manual_seed(1)
        found.append(each.trace(5, 4))
    assert torch.equal(*found)
    nll = zoo.declare(zoo.Metric, "nll")().measure(model, [{"point": torch.zeros(3, 2)}])
    assert "nll.solver_error" in nll


def test_variations_are_further_from_their_example_the_stronger_they_are() -> None:
    model = model_of(DIGIT, path="cosine", solver={"type": "euler", "steps": 20})
    x = DIGIT.example(64, "cpu")["image"]
    assert torch.equal(model.vary(x, 0.0), x)
    off = [float((model.vary(x, s).double() - x.double()).square().mean()) for s in (0.1, 0.4, 0.9)]
    assert off[0] < off[1] < off[2], off
    # With all of the strength nothing of the example is left.
    torch.manual_seed(0)
    one = model.vary(x, 1.0)
    torch.manual_seed(0)
    assert torch.equal(one, model.vary(x.flip(0), 1.0))


def test_interpolations_lead_from_one_example_to_the_other() -> None:
    model = model_of(DIGIT, path="cosine", solver={"type": "dpmpp_2m", "steps": 40, "grid": "log_snr"})
    x = DIGIT.example(2, "cpu")["image"]
    picture = view_of(model, {"type": "interpolate", "steps": 3}).draw(3, 1.0, {"image": x}).double() / 255
    ends = [picture[0, 2:50:8, 50 * i + 2 : 50 * i + 50 : 8] for i in (0, 2)]
    for found, wanted in zip(ends, DIGIT.unit(x, torch.float64), strict=True):
        assert (found - wanted[0]).abs().max() <= 0.1


@pytest.mark.parametrize(
    ("view", "message"),
    [("path", "made in steps"), ("variations", "varies data"), ("solver_steps", "a model 'diffusion'")],
)
def test_what_has_no_such_picture_is_refused(view: str, message: str) -> None:
    event = zoo.Event("point", zoo.Shape(2))
    flow = zoo.declare(zoo.Model, {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]})(event)
    with pytest.raises(zoo.SpecError, match=message):
        view_of(flow, view)
