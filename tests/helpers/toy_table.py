"""A spec of a table, and the command line in this process."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from zoo.cli import app

TOY = """\
name: toy
data: {type: table, train: rows.csv, dims: 2}
model: {type: flow, base: standard_normal, transforms: [act_norm]}
train: {steps: 1, batch: 2, optimizer: {type: adam, lr: 1.0e-3}}
evaluate: [nll]
"""


def invoke(*args: str) -> Result:
    return CliRunner().invoke(app, args)
