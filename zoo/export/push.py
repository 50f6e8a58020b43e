"""A share file put on a hub, with a card and a picture of its draws."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engine.runtime import find_device, place, prepare
from ..errors import DamagedFile
from ..format.header import Header
from ..hub import client as hub
from ..hub.address import Address
from ..inference.sample import draw, entries_by
from ..interfaces import Model, Samples
from ..plot.entries import picture_problem
from ..plot.images import shown_of
from ..run.directory import file_to_open
from ..share.file import open_share
from ..spec import Spec
from .model_card import card

CARD, PICTURE = "README.md", "samples.png"
MOST_DRAWS = 10_000


@dataclass(frozen=True)
class Pushed:
    """Result of an upload: ``address`` names the commit."""

    address: Address
    files: tuple[str, ...]
    digest: str


def push(
    run_or_file: str | Path,
    repository: str,
    *,
    private: bool = False,
    branch: str | None = None,
    message: str | None = None,
    trust: bool = False,
) -> Pushed:
    """Share the verified file of a run on a hub, by one commit to a repository ``OWNER/NAME``.

    ``private`` holds for a repository that is yet to be made, and refuses a public one.
    """
    address = Address(repository, branch)
    hub.require()
    file = file_to_open(run_or_file, trust=trust)
    model, spec, header = open_share(file)
    digest = str(header.meta["digest"])
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        picture = Path(folder) / PICTURE
        drawn = _draw(model, spec, picture)
        text = _card(file, model, spec, header, address, PICTURE if drawn else None)
        files: dict[str, Path | bytes] = {hub.FILE: file, CARD: text.encode()}
        files |= {PICTURE: picture} if drawn else {}
        title = message or f"{spec.name} at step {header.meta['step']}, {digest}"
        pushed = hub.upload(address, files, private=private, message=title)
    return Pushed(pushed, tuple(files), digest)


def _draw(model: Model, spec: Spec, path: Path) -> bool:
    """Draws as a picture, where the model samples and they have one."""
    if (
        not isinstance(model, Samples)
        or picture_problem(entries_by(model, spec.sample.way))
        or {*model.conditions} - {"label"}
    ):
        return False
    on = find_device("auto")
    prepare(spec, on)
    n = min(shown_of(spec.sample.n, model.event), MOST_DRAWS)
    how: dict[str, Any] = {"n": n, "temperature": spec.sample.temperature, "sampler": spec.sample.way}
    how["batch"] = spec.sample.batch
    draw(place(model, on, spec.engine.channels_last), path, seed=0, **how)
    return True


def _card(file: Path, model: Model, spec: Spec, header: Header, address: Address, picture: str | None) -> str:
    count = sum(p.numel() for p in model.parameters())
    try:
        return card(spec, header.meta, address, parameters=count, picture=picture)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The digest is over the tensors and the spec: what else the header says may be anything.
        raise DamagedFile(f"{file} has invalid metadata: {error!r}") from None
