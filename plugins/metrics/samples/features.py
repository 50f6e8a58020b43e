"""Features of examples: vectors in which draws are compared with data."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from zoo import DataError, Encodes, Event, Model, UsageError, load

PIXELS, INCEPTION = "pixels", "inception"


class Features(ABC):
    """Map from examples to vectors."""

    @abstractmethod
    def misfit(self, name: str, shape: tuple[int, ...]) -> str | None:
        """The reason why data of this name and shape has no such features; None if it has."""

    @abstractmethod
    def __call__(self, x: Tensor, event: Event) -> Tensor:
        """``[B, *shape] -> [B, D]``, data as an event describes it."""

    def digest(self) -> str | None:
        """A hash of the network; None for features without one."""
        return None


def features_of(name: str, weights: str | None) -> Features:
    """The features that a metric names; `zoo.DataError` for weights that are missing or do not fit."""
    if name == PIXELS:
        return Pixels()
    return Inception(weights) if name == INCEPTION else Codes(name)


class Pixels(Features):
    """The data itself: levels scaled to numbers between 0 and 1."""

    def misfit(self, name: str, shape: tuple[int, ...]) -> str | None:
        return None

    def __call__(self, x: Tensor, event: Event) -> Tensor:
        return event.unit(x, torch.float64).flatten(1)


class Codes(Features):
    """The codes of a trained model: of a classifier, the features before its last layer.

    Levels are scaled to those of the model: data of two levels can have the codes of a model of 256 levels.

    Args:
        file: A share file, a run, or an address.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        try:
            self.model: Model = load(file)
        except UsageError as error:
            raise DataError(f"the features of '{file}' cannot be had: {error}") from None
        if not isinstance(self.model, Encodes):
            raise DataError(f"the model of '{file}' does not encode: its features need one that does")
        if self.model.conditions:
            given = " and ".join(self.model.conditions)
            raise DataError(f"the model of '{file}' encodes given the {given}: its features need one that encodes data")

    def misfit(self, name: str, shape: tuple[int, ...]) -> str | None:
        event = self.model.event
        if (event.name, tuple(event.shape)) == (name, shape):
            return None
        sides = "x".join(map(str, shape))
        return f"the model of '{self.file}' is of '{event.name}' of shape {event.shape}, the data '{name}' of {sides}"

    def __call__(self, x: Tensor, event: Event) -> Tensor:
        values = on_levels_of(self.model.event, x, event, self.file)
        encoder: Any = self.model.to(x.device)
        codes: Tensor = encoder.encode(values)
        return codes.flatten(1)

    def digest(self) -> str:
        return _digest(self.model.state_dict())


def on_levels_of(ours: Event, x: Tensor, event: Event, file: str) -> Tensor:
    """Data of an event as the model of a file takes it: levels scaled to the nearest level of the model.

    `zoo.DataError` for continuous data and a model of levels.

    >>> import zoo
    >>> grey, binary = (Event("image", zoo.Shape(1, 1, 2), levels=n) for n in (17, 2))
    >>> on_levels_of(grey, torch.tensor([[[[0, 1]]]]), binary, "it").flatten()
    tensor([ 0, 16], dtype=torch.uint8)
    """
    if event.levels is None and ours.levels is not None:
        raise DataError(f"the model of '{file}' is of {ours.levels} levels, and the data is continuous")
    scaled = event.unit(x)
    return scaled if ours.levels is None else ours.of_unit(scaled).round().to(ours.dtype)


SIDE = 299
"""Pixels of a side of what InceptionV3 takes."""
OLDER = 1008
"""Classes of the network of the published Fréchet inception distances."""


class Inception(Features):
    """The 2048 features of InceptionV3 before its last layer, of images between 0 and 1.

    Images are resized to 299x299, bilinearly, and grey ones repeated in three channels. The file holds the state dict
    of torchvision's ``inception_v3``, or that of the older network of published distances, which has 1008 classes,
    counts no padding in its averages, and takes a maximum in its last block.

    References: Szegedy et al., Rethinking the inception architecture for computer vision, 2016, arXiv:1512.00567;
    Heusel et al., GANs trained by a two time-scale update rule converge to a local Nash equilibrium, 2017,
    arXiv:1706.08500.
    """

    def __init__(self, weights: str | None) -> None:
        if weights is None:
            raise DataError(
                f"the features '{INCEPTION}' need 'weights': the path of a state dict of InceptionV3, such as "
                "inception_v3_google-0cc3c7bd.pth of torchvision or pt_inception-2015-12-05-6726825d.pth of pytorch-fid"
            )
        self.net = _inception(_state_of(Path(weights).expanduser()), weights)

    def misfit(self, name: str, shape: tuple[int, ...]) -> str | None:
        if len(shape) == 3 and shape[0] in (1, 3):
            return None
        return f"InceptionV3 takes images of one or three channels, not '{name}' of shape {'x'.join(map(str, shape))}"

    def __call__(self, x: Tensor, event: Event) -> Tensor:
        images = event.unit(x, torch.float32).expand(-1, 3, -1, -1)  # [B, 3, H, W]
        images = interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        features: Tensor = self.net.to(x.device)(2.0 * images - 1.0)
        return features

    def digest(self) -> str:
        return _digest(self.net.state_dict())


def _digest(state: Mapping[str, Tensor]) -> str:
    """The sha256 of the names, dtypes, shapes and bytes of tensors."""
    hashed = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        hashed.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return f"sha256:{hashed.hexdigest()}"


def _state_of(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"the weights of InceptionV3 cannot be read from {path}: {error.strerror}") from None
    except Exception as error:  # whatever torch's reading raises of a file that is something else
        raise DataError(f"{path} is not a state dict of torch: {error}") from None
    if not isinstance(state, dict) or "fc.weight" not in state:
        raise DataError(f"{path} is not a state dict of InceptionV3: it has no 'fc.weight'")
    return {name: tensor for name, tensor in state.items() if not name.startswith("AuxLogits.")}


def _inception(state: dict[str, Tensor], path: str) -> nn.Module:
    """InceptionV3 with these weights, up to its features."""
    classes = len(state["fc.weight"])
    make = import_module("torchvision.models").inception_v3
    net: nn.Module = make(weights=None, aux_logits=False, init_weights=False, num_classes=classes)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise DataError(f"{path} is not a state dict of InceptionV3: {error}") from None
    net.fc = nn.Identity()
    if classes == OLDER:
        for name, block in net.named_children():
            if hasattr(block, "branch_pool"):
                pool_anew(block, _largest if name == "Mixed_7c" else _mean_inside)
    return net.eval()


def pool_anew(block: nn.Module, pool: Any) -> None:
    """Let the pooled branch of an Inception block start from another pooling of the block's input."""
    seen: list[Tensor] = []

    def remember(_: nn.Module, given: tuple[Tensor]) -> None:
        seen[:] = given

    block.register_forward_pre_hook(remember)
    block.get_submodule("branch_pool").register_forward_pre_hook(lambda branch, pooled: (pool(seen.pop()),))


def _mean_inside(x: Tensor) -> Tensor:
    return avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _largest(x: Tensor) -> Tensor:
    return max_pool2d(x, 3, stride=1, padding=1)
