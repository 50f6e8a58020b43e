"""The architecture page names what is there, in the order that holds."""

from __future__ import annotations

import re
from pathlib import Path

from test_import_rules import ORDER

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_packages_stand_on_the_page_in_their_order() -> None:
    section = PAGE.partition("## The packages of the core")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == ORDER


def test_modules_that_it_names_exist() -> None:
    found = re.findall(rf"`((?:{'|'.join(ORDER)})\.\w+)\b", PAGE)
    assert found
    for name in found:
        assert ROOT.joinpath("zoo", *name.split(".")).with_suffix(".py").is_file(), name


def test_folders_that_it_names_exist() -> None:
    for name in re.findall(r"`((?:plugins|specs|tests|benchmarks|docs|examples|zoo|testing)/[\w/]*)`", PAGE):
        assert (ROOT / name).is_dir() or (ROOT / "zoo" / name).is_dir(), name
