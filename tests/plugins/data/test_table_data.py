"""Tables: what is read is what the file says, to the digits that a density needs, and what is odd is said."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zoo
from zoo.inference.conditions import condition

rows_of = import_module("zoo.plugins.data.tables.rows")
SECRET = "hunter2"


def table(path: Path, **more: Any) -> zoo.Dataset:
    built: zoo.Dataset = zoo.declare(zoo.Dataset, {"type": "table", "train": str(path), **more})()
    return built


def saved(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def rows(data: zoo.Dataset, split: Any = "train") -> list[list[float]]:
    examples = data.split(split)
    found: list[list[float]] = examples.read(torch.arange(len(examples)))["row"].tolist()
    return found


def surveyed(path: Path, x: Any, names: str | None = None, **more: Any) -> list[str]:
    if names is None:
        np.save(path / "x.npy", x)
        return list(table(path / "x.npy", **more).split("train").survey())
    np.savetxt(path / "x.csv", x, delimiter=",", header=names, comments="", fmt="%.17g")
    return list(table(path / "x.csv", **more).split("train").survey())


# Columns.


@pytest.mark.parametrize(
    ("header", "more", "message"),
    [
        ("a,a,b", {}, r"columns 0 and 1 are all named 'a': rename them, or choose columns by number"),
        ("a,a,b", {"columns": ["a"]}, r"columns 0 and 1 are all named 'a'"),
        ("a,b,c", {"columns": ["a", 0]}, r"column 0 'a' is chosen twice"),
        ("a,b,c", {"columns": ["a"], "features": [0]}, r"'columns' and 'features' both choose column 0 'a'"),
        (",b,c", {}, r"column 0 has no name, like an index .*index=False.*'columns'"),
        ("Unnamed: 0,b,c", {}, r"column 0 has no name"),
        ("a,b,c", {"columns": ["bb"]}, r"no column 'bb'; did you mean 'b'\?"),
        ("a,b,c", {"columns": [3]}, r"no column 3: its columns are numbered 0 to 2"),
        ("a,\x1b[2J,c", {}, r"x\.csv:1 column 1: a column name must be at most 200 printable characters"),
        (f"a,{'b' * 201},c", {}, r"x\.csv:1 column 1: a column name must be at most 200 printable characters"),
    ],
)
def test_columns_are_what_one_means(tmp_path: Path, header: str, more: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.DataError, match=message):
        table(saved(tmp_path / "x.csv", f"{header}\n1,2,3\n4,5,6\n"), **more).split("train")


@pytest.mark.parametrize("key", ["columns", "features"])
def test_a_column_is_declared_once(key: str) -> None:
    with pytest.raises(zoo.SpecError, match=f"'{key}' has 'a' twice"):
        table(Path("x.csv"), **{key: ["a", "b", "a"]})


def test_what_is_not_chosen_may_be_called_anything(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.csv", ",a,a,b\n0,1,2,3\n0,4,5,6\n")
    assert rows(table(path, columns=["b", 1], test=str(path))) == [[3.0, 1.0], [6.0, 4.0]]


def test_columns_chosen_by_number_are_the_same_in_both_files(tmp_path: Path) -> None:
    train, test = saved(tmp_path / "x.csv", "a,b\n1,2\n"), saved(tmp_path / "y.csv", "b,a\n1,2\n")
    with pytest.raises(zoo.DataError, match="must be those of"):
        table(train, columns=[0], test=str(test)).split("test")
    assert rows(table(train, columns=["a"], test=str(test)), "test") == [[2.0]]


def test_the_event_names_columns_that_are_known(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.csv", "a,b,c\n1,2,3\n4,5,6\n")
    assert table(path).event.columns == ("a", "b", "c")
    assert table(path, features=["b"]).event.columns == ("a", "c")
    assert table(path, columns=[0]).event.columns is None
    for unread in ({"columns": ["c", "a"]}, {"dims": 3}):
        assert table(tmp_path / "absent.csv", **unread).event.columns == (("c", "a") if "columns" in unread else None)


# Delimiters, and what is no number.


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str, header: bool, encoding: str) -> None:
    lines = ["a name, with marks; and more|here" if delimiter == "," else "first", "b"]
    head = [f'"{lines[0]}"{delimiter}{lines[1]}'] if header else []
    body = [delimiter.join(pair) for pair in (("1.5", "-2e3"), ('"3"', " 4"))]
    path = saved(tmp_path / "x.csv", "\n".join([*head, *body, ""]), encoding)
    assert rows(table(path, header=header, test=str(path))) == [[1.5, -2000.0], [3.0, 4.0]]


def test_a_declared_delimiter_is_taken(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.csv", "a b\n1 2\n3 4\n")
    assert rows(table(path, delimiter="space", test=str(path))) == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;b\n1,5;2\n", r"x\.csv:2 column 0 'a' has a comma in a number: use decimal points"),
        ("a;b\n1;2\n1.234,5;2\n", r"x\.csv:3 column 0 'a' has a comma in a number"),
        ("a;b\n1;2\n3;4;5\n", r"x\.csv:3 has 3 columns, expected 2"),
        (f"a,b\n1,2\n3,{SECRET}\n", r"x\.csv:3 column 1 'b' is not a number$"),
        ("a,b\n1,2\n3,1_000\n", r"x\.csv:3 column 1 'b' is not a number$"),
        ("a,b\n1,2\n\n-inf,4\n", r"x\.csv:4 column 0 'a' is not a finite number$"),
        ("a,b\n1,2\n3,\n", r"x\.csv:3 column 1 'b' is empty"),
    ],
)
def test_faults_name_the_place_and_not_the_content(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(zoo.DataError, match=message) as caught:
        table(saved(tmp_path / "x.csv", text)).split("train")
    assert SECRET not in str(caught.value)


def unreadable(path: Path) -> Path:
    (path / "x.csv").mkdir()
    return path / "x.csv"


def archived(path: Path) -> Path:
    np.savez(path / "x.npz", a=np.zeros((2, 2)))
    return (path / "x.npz").rename(path / "x.npy")


def cut(path: Path) -> Path:
    np.save(path / "x.npy", np.zeros((50, 2)))
    (path / "x.npy").write_bytes((path / "x.npy").read_bytes()[:300])
    return path / "x.npy"


def named(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        (path / name).write_bytes(content)
        return path / name

    return write


def array(*args: Any, **options: Any) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        np.save(path / "x.npy", np.array(*args, **options), allow_pickle=True)
        return path / "x.npy"

    return write


ODD: list[tuple[Callable[[Path], Path], str]] = [
    (unreadable, r"x\.csv cannot be read \(Is a directory\)"),
    (archived, "an archive of several"),
    (cut, "not an array of numbers"),
    (named("x.npz", b""), r"expected a name ending in \.csv, \.tsv or \.npy"),
    (named("x.npy", b""), "not an array of numbers"),
    (named("x.npy", b"PK\x03\x04 no archive"), "not an array of numbers"),
    (named("x.csv", b"a,b\n1,\xff\n"), r"x\.csv:2 is not UTF-8 text"),
    (named("x.csv", b"a,b\n1,\x002\n"), r"x\.csv:2"),
    (named("x.csv", b""), "is empty"),
    (array([[1.0, np.nan]]), "row 0, column 1 is not a finite number"),
    (array([[1.0, 1e60]]), r"row 0, column 1 is beyond 3.4e\+38"),
    (array([[[1.0, 2.0]]]), r"float64 \[1, 1, 2\], expected real numbers \[N, D\]"),
    (array([1.0, 2.0]), r"float64 \[2\], expected real numbers"),
    (array([[1j, 2.0]]), "complex128"),
    (array([["a", "b"]]), "expected real numbers"),
    (array([[{}]]), "not an array of numbers"),
    (array(np.zeros((0, 2))), "has no rows"),
    (array(np.zeros((2, 0))), "expected real numbers"),
]


@pytest.mark.parametrize(("make", "message"), ODD)
def test_odd_files_are_refused_wherever_numbers_are_read(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    path = make(tmp_path)
    with pytest.raises(zoo.DataError, match=message):
        table(path).split("train")
    with pytest.raises(zoo.DataError, match=message):
        condition(given(), 1, {"features": str(path)})


# The features of --features.


def given() -> zoo.Model:
    """A model of one number given two."""
    base = {"type": "conditional_normal", "context": 2}
    node = {"type": "flow", "base": base, "transforms": ["standardize"], "context": "feature_vector"}
    built: zoo.Model = zoo.declare(zoo.Model, node)(zoo.Event("row", zoo.Shape(1), features=2))
    return built


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("1,2\n", "utf-8"), ("1,2\n", "utf-8-sig"), ("1;2\n", "utf-8"), ("a,b\n1,2\n", "utf-8-sig"), ("1\t2", "utf-8")],
)
def test_features_are_read_as_tables_are(tmp_path: Path, text: str, encoding: str) -> None:
    found = condition(given(), 3, {"features": str(saved(tmp_path / "f.csv", text, encoding))})
    assert found is not None
    assert (found["features"].dtype, found["features"].tolist()) == (torch.float32, [[1.0, 2.0]] * 3)


def test_a_first_row_that_is_not_finite_is_no_header(tmp_path: Path) -> None:
    with pytest.raises(zoo.DataError, match=r"f\.csv:1 column 0 is not a finite number"):
        condition(given(), 1, {"features": str(saved(tmp_path / "f.csv", "nan,nan\n1,2\n"))})


def test_features_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(zoo.DataError, match="has 2 examples of 'features'; expected 1, or 3"):
        condition(given(), 3, {"features": str(saved(tmp_path / "f.csv", "1,2\n3,4\n"))})


# Precision.


def times(n: int = 180, step: float = 60.0) -> Any:
    return 1.7e9 + step * np.arange(n, dtype=np.float64)[:, None]


def test_float64_is_kept_where_float32_would_lose(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", times())
    kept = rows(table(tmp_path / "t.npy", test=str(tmp_path / "t.npy")))
    assert kept == times().tolist()
    np.save(tmp_path / "s.npy", np.random.default_rng(0).standard_normal((50, 2)))
    assert table(tmp_path / "s.npy").split("train").read(torch.arange(1))["row"].dtype == torch.float32


@pytest.mark.parametrize("nested", [False, True])
def test_standardize_subtracts_before_it_rounds(nested: bool) -> None:
    """The density of unix times is that of the same times from their mean on."""
    first: Any = {"type": "chain", "of": ["standardize"]} if nested else "standardize"
    node = {"type": "flow", "base": "standard_normal", "transforms": [first, "act_norm"]}
    flow = zoo.declare(zoo.Model, node)(zoo.Event("row", zoo.Shape(1)))
    x = torch.from_numpy(times())
    first_part = next(part for part in flow.modules() if type(part).__name__ == "Standardize")
    first_part.initialize(x)
    log_p = flow.log_prob(x)
    z = (x - x.mean()) / x.std(correction=0)
    expected = -0.5 * (z.square() + math.log(2 * math.pi)) - x.std(correction=0).log()
    assert log_p.dtype == torch.float32
    # The mean itself is rounded to 128 seconds of a spread of 3117.
    torch.testing.assert_close(log_p.double(), expected.squeeze(1), atol=0.04, rtol=0.0)
    assert len(set(log_p.tolist())) > 170


@pytest.mark.parametrize("first", ["act_norm", {"type": "logit", "alpha": 0.05}, "reverse"])
def test_other_parts_get_the_dtype_of_the_model(first: Any) -> None:
    node = {"type": "flow", "base": "standard_normal", "transforms": [first]}
    flow = zoo.declare(zoo.Model, node)(zoo.Event("row", zoo.Shape(2)))
    x = torch.full((3, 2), 0.25)
    torch.testing.assert_close(flow.log_prob(x.double()), flow.log_prob(x))


# What is said before training starts.

rng = np.random.default_rng(0)
NORMAL = rng.standard_normal((400, 2))


def beside(column: Any) -> Any:
    return np.column_stack([NORMAL, column])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (beside(np.full(400, 3.0)), "column 2 'c' has the same number in all rows"),
        (beside(rng.integers(0, 9, 400)), r"column 2 'c' has 9 different numbers in 360 rows.*add noise"),
        (beside(np.where(rng.random(400) < 0.5, 0.0, rng.random(400))), r"column 2 'c' has \d+ different.*in \d\d% of"),
        (beside(np.arange(400)), "column 2 'c' looks like a row number or an id"),
        (beside(times(400)[:, 0]), r"column 2 'c' has 360 different numbers, of which float32 distinguishes 1\d\d"),
        (beside(times(400)[:, 0]), "column 2 'c' looks like a time in seconds since 1970"),
        (beside(1e3 * times(400)[:, 0]), "column 2 'c' looks like a time in milliseconds"),
        (
            beside(np.where(np.arange(400) % 50 == 7, 1e4, NORMAL[:, 0] ** 2)),
            r"column 2 'c' has \d number\(s\) more than 50",
        ),
        (beside(2.0**60 + 1e9 * rng.random(400).round(3)), r"column 2 'c' has whole numbers beyond 2\*\*53"),
        (beside(2.0 * NORMAL[:, 0] + 7.0), r"column 0 'a', column 2 'c': each is a linear function of the others"),
        (beside(NORMAL.sum(1)), r"column 0 'a', column 1 'b', column 2 'c': each is a linear function"),
        (np.vstack([beside(NORMAL[::-1, 0])[:300]] * 2), r"\d\d% of the rows repeat another"),
    ],
)
def test_what_is_odd_is_said_with_its_column(tmp_path: Path, x: Any, message: str) -> None:
    said = surveyed(tmp_path, x, "a,b,c")
    assert [line for line in said if re.search(message, line)], said
    assert all(line.startswith(f"{tmp_path / 'x.csv'}: ") for line in said)


def test_a_summary_says_what_was_read(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.csv", "a;b\n1;-2.5\n3;4\n")
    said = table(path, columns=["b"], features=["a"], test=str(path)).split("train").summary()
    assert said == (
        "2 rows of 2 columns (csv, semicolons, names in the first line): column 1 'b' -2.5 to 4, column 0 'a' 1 to 3"
    )
    np.save(tmp_path / "x.npy", np.zeros((3, 9)))
    assert "3 rows of 9 columns (npy): column 0 0 to 0" in table(tmp_path / "x.npy", test="x").split("train").summary()
    assert table(tmp_path / "x.npy", test="x").split("train").summary().endswith("and 3 more")


def test_plain_data_is_not_odd(tmp_path: Path) -> None:
    assert surveyed(tmp_path, NORMAL) == []
    assert surveyed(tmp_path, np.exp(NORMAL)) == []
    assert surveyed(tmp_path, 300.0 + NORMAL) == []


def test_what_is_given_need_not_be_a_density(tmp_path: Path) -> None:
    assert surveyed(tmp_path, beside(rng.integers(0, 2, 400)), "a,b,c", features=["c"]) == []
    (said,) = surveyed(tmp_path, beside(np.ones(400)), "a,b,c", features=["c"])
    assert "column 2 'c' has the same number in all rows and is uninformative" in said


def test_a_test_file_is_surveyed_and_held_out_rows_once(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", beside(np.ones(400)))
    data = table(tmp_path / "x.npy")
    assert list(data.split("train").survey())
    assert not list(data.split("test").survey())
    assert list(table(tmp_path / "x.npy", test=str(tmp_path / "x.npy")).split("test").survey())
