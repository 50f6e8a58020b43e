"""Many small plugins, as pip leaves them in a folder: for what must not slow down with their number."""

from __future__ import annotations

from pathlib import Path

MODULE = '''"""Components of {name}."""

from __future__ import annotations

from torch import Tensor
from zoo import Bijection, Shape, component


@component("shift")
class Shift(Bijection):
    """A shift by ``c``."""

    def __init__(self, shape: Shape, *, c: float = 1.0) -> None:
        super().__init__(shape)
        self.c = c

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x + self.c, x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z - self.c, z.new_zeros(len(z))
'''


def install(folder: Path, count: int) -> list[str]:
    """Installs plugins of one component each in a folder for ``PYTHONPATH``; gives their names."""
    names = [f"crowd_{i:03}" for i in range(count)]
    for name in names:
        package, facts = folder / name, folder / f"{name}-1.0.dist-info"
        package.mkdir(parents=True)
        facts.mkdir()
        (package / "__init__.py").write_text(MODULE.format(name=name))
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[zoo.plugins]\n{name} = {name}\n")
    return names
