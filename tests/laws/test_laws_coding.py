"""Every registered encoder and decoder obeys the laws, and the laws find planted defects."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.testing import DECODER_LAWS, ENCODER_LAWS, Case, LawBroken, cases

HALVED = {"type": "resnet", "width": 4, "blocks": 2, "levels": 1}
ENCODERS = list(cases(zoo.Encoder, halved=HALVED, smooth={"type": "mlp", "width": 8, "activation": "silu"}))
DECODERS = list(cases(zoo.Decoder, halved=HALVED, smooth={"type": "mlp", "width": 8, "activation": "silu"}))


@pytest.mark.parametrize("law", ENCODER_LAWS)
@pytest.mark.parametrize("case", ENCODERS, ids=str)
def test_law_of_encoders(case: Case, law: str) -> None:
    ENCODER_LAWS[law](case.build())


@pytest.mark.parametrize("law", DECODER_LAWS)
@pytest.mark.parametrize("case", DECODERS, ids=str)
def test_law_of_decoders(case: Case, law: str) -> None:
    DECODER_LAWS[law](case.build())


class Straight(zoo.Encoder):
    """A correct linear one, for defects to be planted in."""

    def __init__(self) -> None:
        super().__init__(zoo.Shape(6), zoo.Shape(3))
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y


class Backwards(zoo.Decoder):
    """A correct linear one."""

    def __init__(self) -> None:
        super().__init__(zoo.Shape(3), zoo.Shape(1, 2, 3))
        self.layer = nn.Linear(3, 6)

    def forward(self, z: Tensor) -> Tensor:
        return torch.unflatten(self.layer(z), 1, (1, 2, 3))


class Flat(Backwards):
    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z).flatten(1)


class Centred(Straight):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(0))


class Squeezed(Straight):
    """Loses the batch of one sample."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).squeeze()


class Narrow(Straight):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.cat((x[:, :5], torch.zeros_like(x[:, :1])), dim=1))


class Idle(Straight):
    """Has a layer that it does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(2, 2)


class Detached(Straight):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.layer.weight.detach(), self.layer.bias)


class SinglePrecision(Straight):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()


class AsksForValues(Straight):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.sum().item() < 1e9 else -x)


PLANTED = [
    (Flat, "codes_each_sample_alone"),
    (Centred, "codes_each_sample_alone"),
    (Squeezed, "codes_each_sample_alone"),
    (Narrow, "sees_all_of_its_input"),
    (Idle, "gradients_reach_all"),
    (Detached, "gradients_reach_all"),
    (SinglePrecision, "dtype_follows"),
    (AsksForValues, "compiles"),
]


@pytest.mark.parametrize("law", ENCODER_LAWS)
def test_the_sound_ones_obey(law: str) -> None:
    ENCODER_LAWS[law](Straight())
    DECODER_LAWS[law](Backwards())


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_planted_defect_is_found(cls: type[Straight | Backwards], law: str) -> None:
    with pytest.raises(LawBroken):
        (ENCODER_LAWS | DECODER_LAWS)[law](cls())  # type: ignore[operator]


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert {law for _, law in PLANTED} == set(ENCODER_LAWS) == set(DECODER_LAWS)


MAPS = [
    ((3, 32, 32), (8, 8, 8), 2),
    ((1, 16, 8), (4, 2, 1), 3),
    ((2, 5, 7), (4, 5, 7), 0),
    ((1, 28, 28), (16,), 2),
    ((1, 64, 64), (16,), 4),
    ((1, 4, 4), (16,), 0),
]


@pytest.mark.parametrize(("image", "code", "halvings"), MAPS)
def test_residual_nets_halve_as_the_sizes_say(image: tuple[int, ...], code: tuple[int, ...], halvings: int) -> None:
    small = {"type": "resnet", "width": 4, "blocks": 1}
    encoder = zoo.declare(zoo.Encoder, small)(zoo.Shape(*image), zoo.Shape(*code))
    decoder = zoo.declare(zoo.Decoder, small)(zoo.Shape(*code), zoo.Shape(*image))
    assert sum(isinstance(m, nn.Conv2d) and m.stride == (2, 2) for m in encoder.modules()) == halvings
    assert sum(isinstance(m, nn.ConvTranspose2d) for m in decoder.modules()) == halvings
    assert encoder(torch.zeros(2, *image)).shape == (2, *code)
    assert decoder(torch.zeros(2, *code)).shape == (2, *image)


WRONG = [
    ((3, 32, 32), (8, 8, 16), None, "no number of halvings leads from 3x32x32 to 8x8x16"),
    ((3, 30, 30), (8, 7, 7), None, "halves 30x30 images 2 times"),
    ((3, 24, 24), (8, 8, 8), None, "no number of halvings"),
    ((3, 8, 8), (8, 16, 16), None, "no number of halvings"),
    ((5,), (8, 1, 1), None, "needs images"),
    ((5,), (8,), None, "needs images"),
    ((3, 32, 32), (8, 8, 8), 3, "'levels' is 3, but 3x32x32 is halved 2 times to 8x8x8"),
    ((3, 12, 12), (8,), 3, "halves 12x12 images 3 times"),
    ((3, 12, 12), (8,), 10**30, "halves 12x12 images"),
]


@pytest.mark.parametrize(("image", "code", "levels", "message"), WRONG)
def test_residual_nets_refuse_other_sizes(
    image: tuple[int, ...], code: tuple[int, ...], levels: int | None, message: str
) -> None:
    node = {"type": "resnet", "width": 4, "levels": levels}
    with pytest.raises(zoo.SpecError, match=message):
        zoo.declare(zoo.Encoder, node)(zoo.Shape(*image), zoo.Shape(*code))
    with pytest.raises(zoo.SpecError, match=message):
        zoo.declare(zoo.Decoder, node)(zoo.Shape(*code), zoo.Shape(*image))
