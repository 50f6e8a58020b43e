"""A spec that names a Python file, and the file."""

SCALE = '''
    """A first try."""

    from __future__ import annotations

    import torch
    from torch import Tensor
    from zoo import Bijection, Shape, component, sum_event

    BY = 2.0


    @component("scale")
    class Scale(Bijection):
        """Scales by a number."""

        def __init__(self, shape: Shape, *, by: float = BY) -> None:
            super().__init__(shape)
            self.by = by

        def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
            return x * self.by, sum_event(torch.full_like(x, self.by).log())

        def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
            return z / self.by, -sum_event(torch.full_like(z, self.by).log())
'''
SPEC = """\
name: try
plugins: [./mine.py]
data: {type: toy2d, figure: two_moons}
model: {type: flow, base: standard_normal, transforms: [mine.scale, act_norm]}
train: {steps: 4, batch: 8, optimizer: {type: adam, lr: 1.0e-3}, checkpoint_every: 2}
evaluate: [nll]
"""
