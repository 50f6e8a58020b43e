"""Completions of partly hidden images."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import Batch, Completes, Known, Model, View, component, image_groups, image_problem

from .base import first

Hidden = Literal["top", "bottom", "left", "right", "middle"]
_FLIPS: dict[str, list[int]] = {"none": [], "rows": [2], "columns": [3], "both": [2, 3]}


@component("complete", added={"n": 8})
class Complete(View):
    r"""Completions: examples, their visible part, and several completions by the model.

    .. math:: x_{\mathrm{hidden}} \sim p(x_{\mathrm{hidden}} \mid x_{\mathrm{known}})

    for each of the first examples, in one row. An autoregressive model samples each number given only the known numbers
    before it in its order; a caption says which share of the known numbers it cannot see, 100 % if the top is hidden
    and rows are generated from the top.

    ValueError for a model that does not complete data or does not model images, and without data.

    Args:
        hidden: The hidden part: one side, or the middle.
        share: The share of the sides that is hidden.
        draws: The number of completions of each example.
        flip: Reverse rows, columns or both before the model sees the image, and back afterwards, so that the last
            numbers come first; for a model of data that looks the same both ways.
        n: The number of examples, unless another one is asked for.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759, fig. 9.

    >>> import torch, zoo
    >>> node = {"type": "autoregressive", "net": "made", "head": "bernoulli"}
    >>> model = zoo.declare(zoo.Model, node)(zoo.Event("image", zoo.Shape(1, 6, 6), levels=2))
    >>> Complete(model, draws=2).draw(3, 1.0, model.event.example(3, "cpu")).shape    # three rows of four images of 48
    torch.Size([3, 152, 202])
    """

    def __init__(
        self,
        model: Model,
        *,
        hidden: Hidden = "bottom",
        share: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        draws: Annotated[int, Field(ge=1, le=20)] = 4,
        flip: Literal["none", "rows", "columns", "both"] = "none",
        n: PositiveInt = 8,
    ) -> None:
        super().__init__(model)
        if not isinstance(model, Completes):
            name = model.declaration.name if model.declaration else type(model).__name__
            raise ValueError(f"needs a model that completes data, but '{name}' does not")
        problem = image_problem(model.event)
        if problem is not None:
            raise ValueError(problem)
        self.completes: Completes = model
        self.known = ~_hidden(hidden, share, tuple(model.event.shape))
        self.draws, self.dims, self.default_n = draws, _FLIPS[flip], n

    @torch.no_grad()
    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        if data is None:
            raise ValueError("needs data to complete: use a run, or set data")
        shown, event = first(data, n), self.model.event
        x = shown[event.name]
        mask = self.known.to(x.device).expand_as(x)
        unit = event.unit(x, torch.float64)
        drawn = event.unit(self._completed(shown, mask, temperature), torch.float64)
        rows = torch.cat([torch.stack([unit, torch.where(mask, unit, torch.nan)], dim=1), drawn], dim=1)
        unseen = float(self.completes.unseen(self._flipped(mask[:1])))
        captions = [f"{100 * unseen:.0f} % unseen", *[""] * (x.shape[0] - 1)] if unseen > 0 else []
        return image_groups(rows.unsqueeze(1), event, captions=captions)

    def _completed(self, shown: Batch, mask: Tensor, temperature: float) -> Tensor:
        """Each example completed several times, ``[n, draws, *shape]``."""
        several = {name: tensor.repeat_interleave(self.draws, 0) for name, tensor in shown.items()}
        x = self._flipped(several[self.model.event.name])
        known = Known(x, self._flipped(mask.repeat_interleave(self.draws, 0)))
        drawn = self.completes.complete(known, self.model.given(several), temperature)
        return torch.unflatten(self._flipped(drawn), 0, (-1, self.draws))

    def _flipped(self, x: Tensor) -> Tensor:
        return x.flip(self.dims) if self.dims else x


def _hidden(where: Hidden, share: float, shape: Any) -> Tensor:
    """Which numbers are hidden, ``[1, C, H, W]``."""
    C, H, W = shape
    rows, columns = round(share * H), round(share * W)
    hidden = torch.zeros(1, C, H, W, dtype=torch.bool, device="cpu")
    match where:
        case "top":
            hidden[:, :, :rows] = True
        case "bottom":
            hidden[:, :, H - rows :] = True
        case "left":
            hidden[..., :columns] = True
        case "right":
            hidden[..., W - columns :] = True
        case "middle":
            top, left = (H - rows) // 2, (W - columns) // 2
            hidden[:, :, top : top + rows, left : left + columns] = True
    return hidden
