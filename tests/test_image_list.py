"""Files, folders, patterns and lists become one list of images with unique names."""

import os
from pathlib import Path

import pytest

from datamodules.errors import DataError
from datamodules.prediction.image_list import list_inputs


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "a/x.jpg", "a/deep/y.PNG", "a/notes.md", "a/.hidden.jpg", "b/x.png", "b/z.webp", "b/my car.v2.jpg",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"only names matter here")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(words: list[str], leave_out: Path | None = None) -> list[str]:
    return [listed.name for listed in list_inputs(words, exclude=leave_out).files]


def test_folder_lists_its_images_in_order(images: Path) -> None:
    assert names(["a"]) == ["deep/y", "x"]


def test_file_with_any_suffix_is_listed(images: Path) -> None:
    assert names(["b/my car.v2.jpg", "a/notes.md"]) == ["my car.v2", "notes"]


def test_pattern_keeps_the_path_below_its_fixed_part(images: Path) -> None:
    assert names(["a/**/*"]) == ["deep/y", "x"]
    assert names([str(images / "b" / "[xz].*")]) == ["x", "z"]


def test_same_names_in_two_folders_keep_their_folders(images: Path) -> None:
    assert names(["a", "b"]) == ["a/deep/y", "a/x", "b/my car.v2", "b/x", "b/z"]


def test_same_names_in_one_folder_are_numbered(images: Path) -> None:
    for name in ("x.jpg", "X.bmp", "x-2.png"):
        (images / "b" / name).touch()
    # Sorted: X.bmp, "my car", x-2.png, x.jpg, x.png, z.webp; names that differ only in case would share a file on macOS
    assert names(["b"]) == ["X", "my car.v2", "x-2", "x-3", "x-4", "z"]


def test_image_named_twice_is_listed_once(images: Path) -> None:
    assert names(["a/x.jpg", "a", "b/../a/x.jpg"]) == ["x", "deep/y"]


@pytest.mark.parametrize("word", ["@list.txt", "list.txt"])
def test_list_file_paths_are_relative_to_cwd_or_the_list(images: Path, word: str) -> None:
    (images / "list.txt").write_text("# mine\n\na/x.jpg\nb/z.webp\n", encoding="utf-8")
    assert names([word]) == ["x", "z"]
    (images / "b" / "list.txt").write_text("my car.v2.jpg\r\n", encoding="utf-8-sig")
    assert names([word.replace("list", "b/list")]) == ["my car.v2"]


def test_missing_entry_of_a_list_is_reported(images: Path) -> None:
    (images / "list.txt").write_text("a/x.jpg\na/gone.jpg\n", encoding="utf-8")
    assert names(["@list.txt"]) == ["x", "gone"]


def test_results_inside_the_folder_are_ignored(images: Path) -> None:
    assert names(["."], leave_out=Path("a/deep")) == ["a/x", "b/my car.v2", "b/x", "b/z"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "gone.jpg"], "gone.jpg: there is no such file or folder"),
        (["a/*.tiff"], r"a/\*.tiff: the pattern matches no image"),
        (["@gone.txt"], "gone.txt: cannot be read as a list of images"),
        (["empty"], "no image to work on"),
        ([], "no image to work on"),
    ],
)
def test_arguments_without_a_match_are_refused_by_name(images: Path, words: list[str], message: str) -> None:
    (images / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        list_inputs(words)


def test_an_existing_file_is_meant_by_its_name(images: Path) -> None:
    for name in ("~backup.jpg", "@home.png", "[x].jpg", "~"):
        (images / name).touch()
    assert names(["~backup.jpg", "@home.png", "[x].jpg", "~"]) == ["~backup", "@home", "[x]", "~"]
    with pytest.raises(DataError, match="~nobody-of-this-name: there is no such file"):
        list_inputs(["~nobody-of-this-name"])


def test_what_is_left_out_of_a_folder_is_listed(images: Path) -> None:
    (images / "a" / "linked").symlink_to(images / "b")
    (images / "a" / "dead.jpg").symlink_to("nowhere")
    (images / "a" / "unmounted").symlink_to("/nowhere")
    for words in (["a"], ["a/**/*"], ["a/*"]):
        inputs = list_inputs(words)
        assert [listed.name for listed in inputs.files] == [
            "dead", "deep/y", "linked/my car.v2", "linked/x", "linked/z", "x",
        ], words  # fmt: skip
        assert inputs.lines() == [
            "inputs: 3 x .jpg, 2 x .png, 1 x .webp",
            "left out, suffix not supported: 1 (a/notes.md)",
            "left out: a/unmounted: is a link to /nowhere, which does not exist",
        ]
        assert not inputs.complete


@pytest.mark.parametrize(
    ("name", "complete"), [("notes.txt", True), ("raw.CR2", False), ("icon.ico", False), ("clip.mp4", False)]
)
def test_images_and_videos_that_are_left_out_are_missed(images: Path, name: str, complete: bool) -> None:
    (images / "b" / name).touch()
    inputs = list_inputs(["b"])
    assert [path.name for path in inputs.others] == [name]
    assert inputs.complete == complete


def test_a_folder_without_images_names_what_it_holds(images: Path) -> None:
    (images / "raw").mkdir()
    for number in range(3):
        (images / f"raw/{number}.nef").touch()
    with pytest.raises(DataError, match=r"no image to work on: there are only other files: 3 x \.nef"):
        list_inputs(["raw"])


def test_names_need_not_be_utf_8(images: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.jpg")
    (images / "a" / odd).touch()
    (images / "list.txt").write_bytes(b"a/caf\xe9.jpg\n")
    for words in (["@list.txt"], [f"a/{odd}"], ["a/caf*"]):
        assert names(words) == [odd.removesuffix(".jpg")]
    (images / "wide.txt").write_text("a/x.jpg", encoding="utf-16")
    with pytest.raises(DataError, match=r"wide\.txt: cannot be read as a list of images: it is not text in UTF-8"):
        list_inputs(["@wide.txt"])
