"""A component or a parameter under a new name: the former one works, with a warning, in specs and in share files."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
import yaml
from fake_plugins import plugin, point
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from typer.testing import CliRunner

import zoo
from zoo.catalogue.describe import describe, schema_of_spec
from zoo.catalogue.json_schema import schema
from zoo.catalogue.queries import catalogue
from zoo.cli.app import app
from zoo.errors import PluginError, SpecError
from zoo.registry.discovery import found
from zoo.registry.renames import Renamed

BEFORE = '''
    """Scales."""
    import torch
    from zoo import Bijection, component, sum_event

    @component("stretch")
    class Stretch(Bijection):
        def __init__(self, shape, *, factor: float = 2.0):
            super().__init__(shape)
            self.by = factor

        def forward(self, x, context=None):
            return x * self.by, sum_event(torch.full_like(x, self.by).log())

        def inverse(self, z, context=None):
            return z / self.by, -sum_event(torch.full_like(z, self.by).log())
'''
NOW = BEFORE.replace('"stretch"', '"scale", formerly=["stretch"], renamed={"factor": "by"}').replace("factor", "by")
NOW = NOW.replace('{"by": "by"}', '{"factor": "by"}')
SPEC = """\
name: renamed
plugins: [acme]
data: {type: toy2d, figure: two_moons}
model: {type: flow, base: standard_normal, transforms: [PART, act_norm]}
train: {steps: 2, batch: 8, optimizer: {type: adam, lr: 1.0e-3}}
"""
FORMER, PRESENT = "{type: acme.stretch, factor: 3.0}", "{type: acme.scale, by: 3.0}"


def spec_with(folder: Path, part: str) -> Path:
    path = folder / "renamed.yaml"
    path.write_text(SPEC.replace("PART", part))
    return path


def test_a_spec_with_former_names_is_that_with_the_present_ones(tmp_path: Path) -> None:
    with plugin(tmp_path, NOW, "0.2"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            present = zoo.load_spec(spec_with(tmp_path, PRESENT))
        with pytest.warns(Renamed) as told:
            former = zoo.load_spec(spec_with(tmp_path, FORMER))
    assert former.resolved() == present.resolved()
    said = "\n".join(str(warning.message) for warning in told)
    assert re.search(r"renamed\.yaml:4:\d+ .*bijection 'acme\.stretch' was renamed 'acme\.scale'", said)
    assert re.search(r"renamed\.yaml:4:\d+ .*'factor' of 'acme\.scale' was renamed 'by'", said)


def test_the_command_line_warns_and_goes_on(tmp_path: Path) -> None:
    with plugin(tmp_path, NOW, "0.2"):
        result = CliRunner().invoke(app, ["build", str(spec_with(tmp_path, FORMER)), "--json"])
    assert result.exit_code == 0
    assert result.stderr.count("warning: ") == 2
    assert "Renamed" not in result.stderr


def test_both_names_are_one_too_many(tmp_path: Path) -> None:
    with plugin(tmp_path, NOW, "0.2"), pytest.raises(SpecError, match="'factor' is the former name of 'by'"):
        zoo.load_spec(spec_with(tmp_path, "{type: acme.scale, by: 3.0, factor: 3.0}"))


@pytest.mark.parametrize(
    ("part", "sound"),
    [
        (FORMER, True),
        (PRESENT, True),
        ("{type: acme.scale, factor: 3.0}", True),
        ("{type: acme.stretch, factor: 0.0}", False),
        ("{type: acme.scale, by: 3.0, factor: 3.0}", False),
        ("acme.stretch", False),
        ("{type: acme.stretched, by: 3.0}", False),
    ],
)
def test_editors_know_former_names(part: str, sound: bool, tmp_path: Path) -> None:
    text = NOW.replace("by: float = 2.0", "by: Annotated[float, Field(gt=0)]").replace(
        "import torch\n", "import torch\n    from typing import Annotated\n    from pydantic import Field\n", 1
    )
    with plugin(tmp_path, text, "0.2"):
        shelf = describe(found([point("acme", "acme_0_2", "acme-zoo", "0.2")])[0])
        document = schema([*catalogue(), shelf], schema_of_spec())
        built = CliRunner().invoke(app, ["build", str(spec_with(tmp_path, part))])
    verdict = Draft202012Validator(document).is_valid(yaml.safe_load(SPEC.replace("PART", part)))
    assert (verdict, built.exit_code == 0) == (sound, sound), built.output


def test_a_file_from_before_opens_without_a_word(tmp_path: Path) -> None:
    with plugin(tmp_path, BEFORE, "0.1"):
        file = zoo.train(spec_with(tmp_path, FORMER), runs=tmp_path).model
    with plugin(tmp_path, NOW, "0.2"), warnings.catch_warnings():
        warnings.simplefilter("error", Renamed)
        model = zoo.load(file)
    assert [part.by for part in model.modules() if hasattr(part, "by")] == [3.0]


def test_two_components_cannot_share_a_former_name(tmp_path: Path) -> None:
    both = NOW.replace("class Stretch", "class First") + "\n".join(
        line for line in NOW.replace('"scale"', '"other"').splitlines() if "import" not in line and '"""' not in line
    )
    with plugin(tmp_path, both, "0.2"), pytest.raises(PluginError, match=r"two components .* 'acme\.stretch'"):
        zoo.load_spec(spec_with(tmp_path, PRESENT))


@pytest.mark.parametrize(("api", "update"), [(zoo.API_VERSION + 1, "zoo"), (zoo.API_VERSION - 1, "the plugin")])
def test_a_plugin_for_another_api_is_told(api: int, update: str, tmp_path: Path) -> None:
    text = NOW + f"\n    ZOO_API = {api}\n"
    with (
        plugin(tmp_path, text, "0.2"),
        pytest.raises(PluginError, match=rf"plugin API {api}, but this zoo has .*: update {update}"),
    ):
        zoo.load_spec(spec_with(tmp_path, PRESENT))
