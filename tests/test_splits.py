"""Splits: groups stay together, splits are stable, and the format of split files."""

import os
import random
from pathlib import Path

import pytest

from datamodules.errors import DataError
from datamodules.index.pairs import Pair
from datamodules.index.splits import (
    group_pairs,
    groups_across_splits,
    held_out,
    is_outside_root,
    read_split_file,
    subsample,
)

CARS = [f"{number:012x}" for number in range(318)]


def pairs_of(*keys: str) -> list[Pair]:
    return [Pair(key, f"images/{key}.jpg", Path(f"images/{key}.jpg"), Path(f"masks/{key}.png")) for key in keys]


def test_full_carvana_holds_out_63_cars() -> None:
    assert len(held_out(CARS, share=0.2)) == 63


def test_held_out_groups_are_stable() -> None:
    # The order of `printf 42:NAME | sha256sum` over the five names, taken from a shell.
    assert held_out(["a", "b", "c", "d", "e"], share=0.4) == {"c", "a"}


def test_order_of_the_files_does_not_matter() -> None:
    shuffled = CARS.copy()
    random.Random(1).shuffle(shuffled)
    assert held_out(shuffled, share=0.2) == held_out(CARS, share=0.2)


def test_another_seed_changes_the_split() -> None:
    assert held_out(CARS, share=0.2, seed=1) != held_out(CARS, share=0.2, seed=2)


def test_new_group_changes_at_most_one_assignment() -> None:
    before, after = held_out(CARS, share=0.2), held_out([*CARS, "one more"], share=0.2)
    assert len(before - after) <= 1


@pytest.mark.parametrize(("groups", "share", "count"), [(2, 0.2, 1), (11, 0.2, 2), (12, 0.2, 2), (100, 0.29, 29)])
def test_counts(groups: int, share: float, count: int) -> None:
    assert len(held_out(CARS[:groups], share=share)) == count


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(DataError, match=r"1 group\(s\) of images \(only\) cannot be split"):
        held_out(["only", "only"], share=0.2)


def test_a_share_of_one_holds_everything_out() -> None:
    assert held_out(CARS, share=1) == frozenset(CARS)
    assert held_out(["only"], share=1.0) == {"only"}


@pytest.mark.parametrize("share", [0, 1.5, -0.1])
def test_fraction_out_of_range(share: float) -> None:
    with pytest.raises(DataError, match="val_share must be above 0 and at most 1"):
        held_out(CARS, share=share)


@pytest.mark.parametrize(
    ("pattern", "group"),
    [(None, "images/sub/car7_03.jpg"), (r"car\d", "car7"), (r"/(\w+)_\d+$", "car7"), (r"^\w+", "sub")],
)
def test_groups(pattern: str | None, group: str) -> None:
    assert group_pairs(pairs_of("sub/car7_03"), pattern) == ({"images/sub/car7_03.jpg": group}, [])


def test_names_without_the_pattern_are_named() -> None:
    groups, problems = group_pairs(pairs_of("12_a", "holiday"), r"(\d+)_")
    assert groups == {"images/12_a.jpg": "12"}
    assert [str(problem) for problem in problems] == [
        r"images/holiday.jpg: name without its group ('(\\d+)_' is not found in 'holiday')"
    ]


def test_invalid_pattern_is_named() -> None:
    with pytest.raises(DataError, match=r"group_pattern '\(' is not a regular expression"):
        group_pairs([], "(")


def test_keep_is_seeded_and_keeps_the_order() -> None:
    kept = subsample(CARS, share=0.1, name=str)
    assert len(kept) == 31
    assert kept == sorted(kept)
    backwards = subsample(CARS[::-1], share=0.1, name=str)
    assert backwards == kept[::-1]
    assert subsample(CARS, share=0.1, name=str, seed=7) != kept
    assert set(subsample(CARS, share=0.05, name=str)) < set(kept)


def test_keep_all_and_at_least_one() -> None:
    assert subsample(CARS, share=1, name=str) == CARS
    assert len(subsample(CARS[:3], share=0.01, name=str)) == 1
    with pytest.raises(DataError, match="keep_pct must be above 0 and at most 1, not 2"):
        subsample(CARS, share=2, name=str)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_split_file_may_name_images_in_four_ways(tmp_path: Path) -> None:
    file = write(
        tmp_path / "split.csv",
        "\ufeffname,split,remark\na,train,x\nb.c.jpg,val,\nimages/d.jpg, test ,\nimages/s/e ö,train,\n",
    )
    splits, problems = read_split_file(file, pairs_of("a", "b.c", "d", "s/e ö"))
    assert splits == {
        "images/a.jpg": "train",
        "images/b.c.jpg": "val",
        "images/d.jpg": "test",
        "images/s/e ö.jpg": "train",
    }
    assert problems == []


def test_all_problems_of_a_split_file_are_reported_together(tmp_path: Path) -> None:
    file = write(
        tmp_path / "split.csv",
        "name,split\na,train\na,val\n../secret.jpg,train\n/etc/x.jpg,val\nC:\\x.jpg,val\nghost,train\nb,learning\n",
    )
    _, problems = read_split_file(file, pairs_of("a", "b"))
    assert [str(problem) for problem in problems] == [
        "split.csv line 3: image in two splits (a)",
        "split.csv line 4: row that points outside the root (../secret.jpg)",
        "split.csv line 5: row that points outside the root (/etc/x.jpg)",
        "split.csv line 6: row that points outside the root (C:\\x.jpg)",
        "split.csv line 7: row without an image (ghost)",
        "split.csv line 8: split that is none of train, val, test (learning)",
        "images/b.jpg: image that split.csv does not list",
    ]


def test_split_file_without_the_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column split in its heading \['name', 'fold'\]"):
        read_split_file(write(tmp_path / "s.csv", "name,fold\n"), [])
    with pytest.raises(DataError, match=r"s\.csv: no column name, split in its heading None"):
        read_split_file(write(tmp_path / "s.csv", ""), [])


def test_missing_or_binary_split_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv does not exist"):
        read_split_file(tmp_path / "nowhere.csv", [])
    (tmp_path / "b.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    with pytest.raises(DataError, match=r"b\.csv: no column name, split in its heading"):
        read_split_file(tmp_path / "b.csv", [])


def test_split_file_with_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes(b"name,split\ncaf\xe9,val\n")
    name = os.fsdecode(b"caf\xe9")
    pair = Pair(key=name, name=f"images/{name}.jpg", image=Path(f"{name}.jpg"), mask=Path(f"{name}.png"))
    assert read_split_file(tmp_path / "s.csv", [pair]) == ({pair.name: "val"}, [])


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/a", "\\a", "C:/a", "..\\a"])
def test_points_outside(name: str) -> None:
    assert is_outside_root(name)


@pytest.mark.parametrize("name", ["a", "a..b", "s/a.b", "s\\a", "..."])
def test_points_inside(name: str) -> None:
    assert not is_outside_root(name)


def test_group_in_two_splits_is_named() -> None:
    groups = {"a_1": "a", "a_2": "a", "b_1": "b", "b_2": "b", "c_1": "c"}
    found = groups_across_splits(groups, {"a_1": "train", "a_2": "train", "b_1": "train", "b_2": "val"})
    assert [str(problem) for problem in found] == ["b: group in more than one split (b_1 in train, b_2 in val)"]
