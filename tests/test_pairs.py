"""Pairing by stem, and the messages for files without a partner."""

import unicodedata
from pathlib import Path

import pytest

from datamodules.errors import DataError
from datamodules.index.folder_scan import list_images
from datamodules.index.pairs import pair_by_stem
from datamodules.index.problems import Problem, raise_problems


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pair(root: Path, *, mask_suffix: str = "") -> tuple[list[str], list[str]]:
    pairs, problems = pair_by_stem(root, root / "images", root / "masks", mask_suffix=mask_suffix)
    assert all(p.image.is_file() and p.mask.is_file() for p in pairs)
    return [f"{p.key}|{p.name}|{p.mask.relative_to(root).as_posix()}" for p in pairs], [str(p) for p in problems]


def test_pairs_at_any_depth_with_suffixes_in_any_case(tmp_path: Path) -> None:
    touch(tmp_path, "images/b.JPG", "images/sub/deep/a.jpeg", "masks/b.Png", "masks/sub/deep/a.GIF", "masks/notes.txt")
    assert pair(tmp_path) == (
        ["b|images/b.JPG|masks/b.Png", "sub/deep/a|images/sub/deep/a.jpeg|masks/sub/deep/a.GIF"],
        [],
    )


def test_names_with_spaces_dots_and_unicode(tmp_path: Path) -> None:
    touch(tmp_path, "images/my car.v2.final.jpg", "masks/my car.v2.final.png", "images/車 ö.jpg", "masks/車 ö.png")
    names, problems = pair(tmp_path)
    assert [name.split("|")[0] for name in names] == ["my car.v2.final", "車 ö"]
    assert problems == []


def test_unicode_normal_forms_are_one_name(tmp_path: Path) -> None:
    composed, decomposed = unicodedata.normalize("NFC", "ö"), unicodedata.normalize("NFD", "ö")
    touch(tmp_path, f"images/{composed}.jpg", f"masks/{decomposed}.png")
    names, problems = pair(tmp_path)
    assert len(names) == 1
    assert problems == []


def test_unpaired_files_on_both_sides_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "images/x.jpg", "images/s/y.jpg", "masks/a.png", "masks/z.png")
    names, problems = pair(tmp_path)
    assert names == ["a|images/a.jpg|masks/a.png"]
    assert problems == [
        "images/s/y.jpg: image without a mask (no masks/s/y.*)",
        "images/x.jpg: image without a mask (no masks/x.*)",
        "masks/z.png: mask without an image (no images/z.*)",
    ]


def test_same_stem_in_another_folder_does_not_pair(tmp_path: Path) -> None:
    touch(tmp_path, "images/left/a.jpg", "masks/right/a.png")
    assert [problem.split(":")[0] for problem in pair(tmp_path)[1]] == ["images/left/a.jpg", "masks/right/a.png"]


def test_two_suffixes_of_one_stem_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "images/a.png", "masks/a.gif", "masks/a.png")
    assert pair(tmp_path)[1] == [
        "images/a.jpg: two files of one name (also a.png)",
        "masks/a.gif: two files of one name (also a.png)",
    ]


def test_mask_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "images/a_01.jpg", "masks/a_01_mask.gif", "masks/a_02.gif")
    assert pair(tmp_path, mask_suffix="_mask") == (
        ["a_01|images/a_01.jpg|masks/a_01_mask.gif"],
        ["masks/a_02.gif: mask whose name lacks '_mask'"],
    )


def test_masks_beside_their_images(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a_mask.png", "b.jpg", "b_mask.png")
    pairs, problems = pair_by_stem(tmp_path, tmp_path, tmp_path, mask_suffix="_mask")
    assert [(p.image.name, p.mask.name) for p in pairs] == [("a.jpg", "a_mask.png"), ("b.jpg", "b_mask.png")]
    assert problems == []


def test_hidden_files_are_skipped_and_links_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "set/a.jpg", "set/._a.jpg", "set/.thumbs/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "set/linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "set/round").symlink_to(tmp_path / "set", target_is_directory=True)
    assert [p.name for p in list_images(tmp_path / "set")] == ["a.jpg", "b.jpg"]


def test_error_names_twenty_and_counts_all(tmp_path: Path) -> None:
    problems = [Problem("image without a mask", f"{n:02}.jpg") for n in range(21)] + [Problem("torn", "x.jpg")]
    with pytest.raises(DataError) as error:
        raise_problems(tmp_path, problems, "mend them")
    lines = str(error.value).splitlines()
    assert lines[0].endswith("22 problem(s): 21 x image without a mask, 1 x torn")
    assert lines[1] == "  00.jpg: image without a mask"
    assert lines[20] == "  19.jpg: image without a mask"
    assert lines[21:] == ["  ... and 2 more", "mend them"]


def test_no_problems_no_error(tmp_path: Path) -> None:
    def raised(problems: list[Problem]) -> bool:
        try:
            raise_problems(tmp_path, problems, "mend them")
        except DataError:
            return True
        return False

    assert not raised([])
    assert raised([Problem("torn", "x.jpg")])


def test_a_file_whose_suffix_is_not_supported_is_named_as_the_reason(tmp_path: Path) -> None:
    for name in ("images/a.psd", "images/b.png", "masks/a.png", "masks/b.xcf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pairs, problems = pair_by_stem(tmp_path, tmp_path / "images", tmp_path / "masks")
    assert pairs == []
    assert [str(problem) for problem in problems] == [
        "images/b.png: image without a mask (the suffix of b.xcf is not supported)",
        "masks/a.png: mask without an image (the suffix of a.psd is not supported)",
    ]
