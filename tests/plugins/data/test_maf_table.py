"""The tabular sets of the MAF paper: from small files of each raw form, what the paper's published code gives."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import zoo

Array = NDArray[Any]
unrepeated = import_module("zoo.plugins.data.tables.maf_sets").unrepeated
SIZES = {"power": 6, "gas": 8, "hepmass": 21, "miniboone": 43, "bsds300": 63}
N = 203
"""Rows of a fabricated file: a tenth, rounded down, is 20."""
HEADER = ",".join(["# label", *(f"f{number}" for number in range(27))])


def maf(name: str, root: Path | str) -> zoo.Dataset:
    built: zoo.Dataset = zoo.declare(zoo.Dataset, {"type": "maf_table", "name": name, "root": str(root)})()
    return built


def rows(name: str, root: Path, split: Any) -> Array:
    examples = maf(name, root).split(split)
    row = examples.read(torch.arange(len(examples)))["row"]
    assert row.dtype == torch.float32
    return row.numpy()


def written(path: Path, array: Array) -> Array:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return array


# -- small files of each raw form --------------------------------------------------------------------------------------


def power(root: Path) -> Array:
    rng = np.random.default_rng(1)
    # Readings have steps, so that the noise shows.
    return written(root / "power" / "data.npy", np.round(rng.gamma(2.0, 5.0, (N, 8)), 1))


def gas(root: Path) -> Array:
    """Sixteen columns of which eight are nearly those of another, some only through a third."""
    rng = np.random.default_rng(2)
    sources = rng.standard_normal((N, 8))
    repeated = sources + 0.12 * rng.standard_normal((N, 8))
    return written(root / "gas" / "ethylene_CO.npy", 5.0 + 3.0 * np.concatenate((sources, repeated), 1))


def hepmass(root: Path) -> tuple[Array, Array]:
    """27 features, of which six have a floor; the test file has a column more in its rows."""
    rng = np.random.default_rng(3)
    (root / "hepmass").mkdir(parents=True)
    tables = []
    for part, further in (("train", 0), ("test", 1)):
        table = np.concatenate((rng.integers(0, 2, (N, 1)), rng.normal(2.0, 4.0, (N, 27 + further))), 1)
        for feature in (3, 8, 9, 15, 20, 26):
            table[:, 1 + feature] = table[:, 1 + feature].clip(0.0)
        # A value that recurs in the middle is no floor: the paper's code keeps such a feature.
        table[:40, 1 + 5] = 2.5
        header = HEADER + ",mass" * further
        np.savetxt(root / "hepmass" / f"1000_{part}.csv", table, "%.18e", ",", header=header, comments="")
        tables.append(table)
    return tables[0], tables[1]


def miniboone(root: Path) -> Array:
    return written(root / "miniboone" / "data.npy", np.random.default_rng(4).gamma(2.0, 2.0, (N, 43)))


def bsds300(root: Path) -> dict[str, Array]:
    rng = np.random.default_rng(5)
    return {
        part: written(root / "BSDS300" / f"{part}.npy", rng.normal(1.0, 3.0, (n, 63)).astype(np.float32))
        for part, n in (("train", 100), ("validation", 5), ("test", 25))
    }


MAKERS: dict[str, Callable[[Path], Any]] = {
    "power": power, "gas": gas, "hepmass": hepmass, "miniboone": miniboone, "bsds300": bsds300,
}  # fmt: skip


# -- what the paper's code does, step by step --------------------------------------------------------------------------


def assert_same(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_power_is_shuffled_smoothed_and_standardised(tmp_path: Path) -> None:
    data = power(tmp_path)
    rng = np.random.RandomState(42)
    rng.shuffle(data)
    data = np.delete(np.delete(data, 3, 1), 1, 1)
    data[:, 1:2] += 0.01 * rng.rand(N, 1)
    data[:, 0:1] += 0.001 * rng.rand(N, 1)
    data[:, 2:5] += rng.rand(N, 3)
    train = data[:-20]
    assert_same(rows("power", tmp_path, "train"), (train - train.mean(0)) / train.std(0))
    assert_same(rows("power", tmp_path, "test"), (data[-20:] - train.mean(0)) / train.std(0))


def one_by_one(data: Array) -> list[int]:
    """The first column that is correlated with another goes, and all is counted again."""
    columns = list(range(data.shape[1]))
    while len(columns) > 1:
        crowded = np.flatnonzero((np.corrcoef(data[:, columns].T) > 0.98).sum(1) > 1)
        if not len(crowded):
            break
        del columns[crowded[0]]
    return columns


def test_gas_loses_columns_one_by_one_and_is_standardised_as_a_whole(tmp_path: Path) -> None:
    data = gas(tmp_path)
    columns = one_by_one(data)
    assert columns == list(range(8, 16)), "the fabricated columns are not near enough"
    data = data[:, columns]
    data = (data - data.mean(0)) / data.std(0, ddof=1)
    assert_same(rows("gas", tmp_path, "train"), data[:-20])
    assert_same(rows("gas", tmp_path, "test"), data[-20:])


@pytest.mark.parametrize("seed", range(20))
def test_columns_go_as_one_by_one(seed: int) -> None:
    """Chains of columns, each near its neighbours alone."""
    rng = np.random.default_rng(seed)
    data = np.cumsum(rng.standard_normal((50, 9)) * rng.choice([0.1, 0.3, 3.0], 9), axis=1)[:, rng.permutation(9)]
    assert np.flatnonzero(unrepeated(data)).tolist() == one_by_one(data)


def test_hepmass_is_the_signal_without_floors(tmp_path: Path) -> None:
    train, test = (table[table[:, 0] == 1, 1:28] for table in hepmass(tmp_path))
    mean, scale = train.mean(0), train.std(0, ddof=1)
    kept = [number for number, x in enumerate(train.T) if sorted(Counter(x).items())[0][1] <= 5]
    assert len(kept) == 21
    assert 5 in kept
    assert_same(rows("hepmass", tmp_path, "train"), ((train - mean) / scale)[:, kept])
    assert_same(rows("hepmass", tmp_path, "test"), ((test - mean) / scale)[:, kept])


def test_miniboone_is_split_in_order(tmp_path: Path) -> None:
    data = miniboone(tmp_path)
    train = data[:-20]
    assert_same(rows("miniboone", tmp_path, "train"), (train - train.mean(0)) / train.std(0))
    assert_same(rows("miniboone", tmp_path, "test"), (data[-20:] - train.mean(0)) / train.std(0))


def test_bsds300_stays_as_it_is(tmp_path: Path) -> None:
    data = bsds300(tmp_path)
    np.testing.assert_array_equal(
        rows("bsds300", tmp_path, "train"), np.concatenate((data["train"], data["validation"]))
    )
    np.testing.assert_array_equal(rows("bsds300", tmp_path, "test"), data["test"])


# -- all of them -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIZES)
def test_a_set_is_known_without_its_files_and_is_what_was_said(name: str, tmp_path: Path) -> None:
    event = maf(name, "absent").event
    assert event == zoo.Event("row", zoo.Shape(SIZES[name]))
    MAKERS[name](tmp_path)
    for split in ("train", "test"):
        assert rows(name, tmp_path, split).shape[1:] == tuple(event.shape)
    assert maf(name, tmp_path).split("train").fingerprint() == maf(name, tmp_path).split("train").fingerprint()


MISSING = {
    "power": ("power/data.npy", "taken unchanged from"),
    "gas": ("gas/ethylene_CO.npy", "pandas.read_pickle('ethylene_CO.pickle').drop(columns=['Meth', 'Eth', 'Time'])"),
    "hepmass": ("hepmass/1000_test.csv", "taken unchanged from"),
    "miniboone": ("miniboone/data.npy", "taken unchanged from"),
    "bsds300": ("BSDS300/validation.npy", "h5py.File('BSDS300.hdf5')"),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_file_is_named_with_what_makes_it(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    path, made = MISSING[name]
    (tmp_path / path).unlink()
    with pytest.raises(zoo.DataError) as caught:
        maf(name, tmp_path).split("test")
    for said in (str(tmp_path / path), f"'{path}' is", made, "zenodo.org/record/1161203"):
        assert said in str(caught.value)


def test_the_root_is_sought_here_and_in_zoo_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "home"))
    with pytest.raises(zoo.DataError, match=r"set ZOO_DATA .*'miniboone/data\.npy' is"):
        maf("miniboone", "maf").split("test")
    miniboone(tmp_path / "home" / "maf")
    assert len(maf("miniboone", "maf").split("test")) == 20


@pytest.mark.parametrize(
    ("name", "path", "array", "said"),
    [
        ("gas", "gas/ethylene_CO.npy", np.zeros((30, 19)), r"float64 \[30, 19\], expected numbers \[N, 16\]"),
        (
            "gas",
            "gas/ethylene_CO.npy",
            np.random.default_rng(0).random((30, 16)),
            "16 columns when cleaned, expected 8",
        ),
        ("power", "power/data.npy", np.zeros((0, 8)), r"float64 \[0, 8\]"),
        ("miniboone", "miniboone/data.npy", np.ones((30, 43)), "constant or has no finite number"),
        ("miniboone", "miniboone/data.npy", np.random.default_rng(0).random((9, 43)), "too few rows"),
        ("miniboone", "miniboone/data.npy", np.full((30, 43), "x"), r"expected numbers"),
        ("bsds300", "BSDS300/test.npy", np.ones((30, 62)), r"\[30, 62\], expected numbers \[N, 63\]"),
        ("bsds300", "BSDS300/test.npy", np.full((30, 63), np.nan), "no finite number"),
    ],
)
def test_other_files_are_refused(name: str, path: str, array: Array, said: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    written(tmp_path / path, array)
    with pytest.raises(zoo.DataError, match=said) as caught:
        maf(name, tmp_path).split("test")
    assert "is made next to" in str(caught.value) or "is taken unchanged" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER + "\n", "has no row whose label, the first column, is 1"),
        (HEADER + "\n" + ",".join(["0"] * 28) + "\n", "has no row whose label, the first column, is 1"),
        (HEADER + "\n1,2,3\n", "has no 28 columns of numbers"),
        (HEADER + "\n" + ",".join(["1"] * 27 + ["wet"]) + "\n", "has no 28 columns of numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt. input contained no data")
def test_other_collisions_are_refused(text: str, said: str, tmp_path: Path) -> None:
    hepmass(tmp_path)
    (tmp_path / "hepmass" / "1000_test.csv").write_text(text)
    with pytest.raises(zoo.DataError, match=rf"1000_test\.csv {said}"):
        maf("hepmass", tmp_path).split("test")


class Trap:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "power" / "data.npy"
    path.parent.mkdir()
    path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(zoo.DataError, match="not an array of numbers"):
        maf("power", tmp_path).split("test")
    assert not (tmp_path / "sprung").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "sprung").exists()
