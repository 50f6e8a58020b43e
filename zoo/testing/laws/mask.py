"""A mask is a partition: each element of an event is in exactly one piece."""

from __future__ import annotations

import torch
from torch import Tensor

from ...interfaces.mask import Mask
from ...shape import Shape
from ..errors import require, require_event


def pieces_partition(mask: Mask) -> None:
    """``split`` sends every element to one place of one piece, and the pieces have the declared shapes."""
    x = _numbered(3, mask.shape)
    kept, changed = mask.split(x)
    require_event("the kept piece", kept, 3, mask.kept)
    require_event("the changed piece", changed, 3, mask.changed)
    both = torch.cat((kept.flatten(1), changed.flatten(1)), dim=1)
    require(
        torch.equal(both.sort(dim=1).values, x.flatten(1)),
        "split loses or repeats elements: every element goes to exactly one place of one piece",
    )


def merge_inverts_split(mask: Mask) -> None:
    """``merge(*split(x))`` is x and ``split(merge(a, b))`` is a, b, for any strides of the input."""
    x = _numbered(3, mask.shape)
    strided = x.movedim(1, -1).contiguous().movedim(-1, 1)
    for given in (x, strided):
        require(torch.equal(mask.merge(*mask.split(given)), x), "merge does not undo split")
    kept, changed = _numbered(3, mask.kept), _numbered(3, mask.changed) + 10000
    again = mask.split(mask.merge(kept, changed))
    require(torch.equal(again[0], kept) and torch.equal(again[1], changed), "split does not undo merge")


def shows_what_is_kept(mask: Mask) -> None:
    """``show`` gives the declared shape and passes on every kept element."""
    kept = _numbered(3, mask.kept).double() + 2.0
    shown = mask.show(kept)
    require_event("what is shown", shown, 3, mask.seen)
    for ours, theirs in zip(kept.unbind(0), shown.unbind(0), strict=True):
        require(torch.isin(ours, theirs).all(), "show hides kept elements: return all that split keeps")


def answers_for_what_is_changed(mask: Mask) -> None:
    """``answer`` takes ``times`` blocks, channels first, and gives one number of each for each changed element."""
    once = mask.answer(_numbered(2, mask.asked(1)))
    require_event("the answer", once, 2, mask.changed)
    require(
        len(set(once[0].flatten().tolist())) == mask.changed.size,
        "answer uses a number twice: one for each changed element",
    )
    asked, size = mask.asked(2), mask.asked(1).size
    h = _numbered(2, mask.asked(1))
    require(asked == mask.asked(1).channels(2), f"asked(2) is {asked}: twice the channels of asked(1)")
    blocks = mask.answer(torch.cat((h, h + 2 * size), dim=1)).chunk(2, dim=1)
    require(
        torch.equal(blocks[0], once) and torch.equal(blocks[1], once + 2 * size),
        "answer mixes the blocks: its first channels must come from the first requested block",
    )


def shown_and_answered_places_agree(mask: Mask) -> None:
    """If a conditioner sees the whole event, kept elements stand at their own places, and the output is taken from the
    changed ones.
    """
    if tuple(mask.seen)[1:] != tuple(mask.shape)[1:] or mask.seen[0] < mask.shape[0]:
        return
    x = _numbered(2, mask.shape).double() + 2.0
    kept, changed = mask.split(x)
    shown = mask.show(kept)[:, : mask.shape[0]]
    wanted = mask.merge(kept, torch.zeros_like(changed))
    require(torch.equal(shown, wanted), "show moves elements: kept ones at their own places, zeros at the others")
    require(torch.equal(mask.answer(x), changed), "answer must take the changed places only")


def _numbered(n: int, shape: Shape) -> Tensor:
    """``n`` events of consecutive integers."""
    return torch.arange(n * shape.size).reshape(n, *shape)
