"""Every registered bijection obeys the laws, and the laws find planted defects."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.testing import BIJECTION_LAWS, Case, LawBroken, cases, inputs, liven

COUPLING = {"type": "affine_coupling", "mask": "checkerboard", "conditioner": {"type": "mlp", "width": 8}}
CONVOLUTIONAL: dict[str, Any] = {
    "type": "affine_coupling",
    "mask": {"type": "checkerboard", "odd": True},
    "conditioner": {"type": "resnet", "width": 4, "blocks": 1, "activation": "elu"},
}
GLOW: list[Any] = [
    "squeeze",
    "act_norm",
    "conv1x1",
    {"type": "coupling", "mask": "channel", "conditioner": {"type": "convnet", "width": 4, "activation": "elu"}},
    {"type": "factor_out", "then": ["act_norm"], "prior": {"type": "convnet", "kernels": [3]}},
]
CASES = list(
    cases(
        zoo.Bijection,
        convolutional=CONVOLUTIONAL,
        channels=COUPLING | {"mask": {"type": "channel", "swap": True}},
        by_channel={"type": "standardize", "per": "channel"},
        logit_first={"type": "chain", "of": ["logit", "batch_norm", COUPLING]},
        two_scales={"type": "chain", "of": ["squeeze", {"type": "factor_out", "then": [COUPLING, "batch_norm"]}]},
        split_prior={"type": "factor_out", "then": ["act_norm"], "prior": {"type": "mlp", "width": 8}},
        glow={"type": "chain", "of": GLOW},
    )
)


LAWS = [
    (case, law)
    for case in CASES
    for law in BIJECTION_LAWS
    # Tracing is slow, and the same for vectors and images of any size.
    if law != "compiles" or case.given[0] in (zoo.Shape(5), zoo.Shape(4, 4, 4))
]


@pytest.mark.parametrize(("case", "law"), LAWS, ids=str)
def test_law(case: Case, law: str) -> None:
    bijection = liven(case.build())
    BIJECTION_LAWS[law](bijection, inputs(bijection, 8, seed=7))


class Scaling(zoo.Bijection):
    """A correct elementwise scaling, for defects to be planted in."""

    def __init__(self) -> None:
        super().__init__(zoo.Shape(3))
        self.log_scale = nn.Parameter(torch.tensor([0.5, -0.3, 0.2]))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x * self.log_scale.exp(), self.log_scale.sum().expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z * self.log_scale.neg().exp(), -self.log_scale.sum().expand(len(z))


class WrongLogDet(Scaling):
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_det = super().forward(x)
        return z, log_det + self.log_scale[0]


class WrongInverseLogDet(Scaling):
    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_det = super().inverse(z)
        return x, -log_det


class WrongInverse(Scaling):
    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_det = super().inverse(z)
        return x + 1e-6, log_det


class WrongDecode(Scaling):
    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z


class Leaky(Scaling):
    """Standardises by the batch in evaluation mode too."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return super().forward(x - x.mean(0))


class SummedOverBatch(Scaling):
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_det = super().forward(x)
        return z, log_det.sum()


class Detached(Scaling):
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_det = super().forward(x)
        return z + (z - z.detach()), log_det


class Forgetful(Scaling):
    """Keeps a number that it needs out of the state dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.ones(3), persistent=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return super().forward(x + self.get_buffer("shift"))


class Reinitialising(Scaling):
    """An activation normalisation that starts anew with every batch."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.training:
            with torch.no_grad():
                self.log_scale.copy_(-x.std(0).log())
        return super().forward(x)


class Remembering(zoo.RunningStatistics, Scaling):
    """Its reset leaves the averages as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))

    def reset(self) -> None:
        pass

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.training:
            self.get_buffer("mean").lerp_(x.detach().mean(0), 0.1)
        return super().forward(x)


class SinglePrecision(Scaling):
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_det = super().forward(x)
        return z, log_det.float()


class HalfLogDet(Scaling):
    """Multiplies through a matrix product, which autocast runs in half precision."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_scale = x.new_ones(len(x), 1) @ self.log_scale.unsqueeze(0)
        return x * log_scale.exp(), log_scale.sum(1, dtype=log_scale.dtype)


class LosesPrecision(Scaling):
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_det = super().forward(x + 1e5)
        return z, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_det = super().inverse(z)
        return x - 1e5, log_det


class Overflowing(Scaling):
    """Takes a root whose slope is infinite at zero out of the result again, which leaves 0 times infinity."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_det = super().forward(x)
        return torch.where(x == 0.0, z, z + x.abs().sqrt() - x.abs().sqrt()), log_det


class StartsInSinglePrecision(zoo.DataDependent, Scaling):
    """Starts from squares in the precision of its data."""

    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        with torch.no_grad():
            self.log_scale.copy_(-0.5 * x.square().mean(0).log())


class Unbounded(Scaling):
    """The logarithm of what lies beyond zero and one is NaN."""

    domain = (0.0, 1.0)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x.log() - torch.log1p(-x), -zoo.sum_event(x.log() + torch.log1p(-x))


class Poisoning(Unbounded):
    """The value is right, and the gradient that of a root."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_det = super().forward(x.sqrt().square())
        within = ((x > 0) & (x < 1)).flatten(1).all(1)
        return torch.where(z.isfinite(), z, 0.0), torch.where(within, log_det, -torch.inf)


class AsksForValues(Scaling):
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return super().forward(x if x.sum().item() < 1e9 else -x)


PLANTED = [
    (WrongLogDet, "log_det_is_jacobian"),
    (WrongInverseLogDet, "log_det_is_jacobian"),
    (WrongInverseLogDet, "inverse_inverts"),
    (WrongInverse, "inverse_inverts"),
    (WrongDecode, "decode_is_inverse"),
    (LosesPrecision, "float32_is_enough"),
    (Leaky, "samples_are_independent"),
    (SummedOverBatch, "samples_are_independent"),
    (Detached, "gradients_are_right"),
    (Forgetful, "state_is_complete"),
    (Reinitialising, "forward_keeps_state"),
    (Remembering, "reset_forgets"),
    (StartsInSinglePrecision, "starts_at_any_scale"),
    (Unbounded, "nothing_beyond_the_domain"),
    (Poisoning, "nothing_beyond_the_domain"),
    (SinglePrecision, "dtype_follows"),
    (HalfLogDet, "log_det_survives_autocast"),
    (Overflowing, "stays_finite"),
    (AsksForValues, "runs_on_meta"),
    (AsksForValues, "compiles"),
]


@pytest.mark.parametrize("law", BIJECTION_LAWS)
def test_the_sound_one_obeys(law: str) -> None:
    bijection = Scaling().double().eval()
    BIJECTION_LAWS[law](bijection, inputs(bijection, 8))


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_planted_defect_is_found(cls: type[zoo.Bijection], law: str) -> None:
    bijection = cls().double().eval()  # type: ignore[call-arg]
    with pytest.raises(LawBroken):
        BIJECTION_LAWS[law](bijection, inputs(bijection, 8))


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert {law for _, law in PLANTED} == set(BIJECTION_LAWS)
