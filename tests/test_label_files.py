"""The folder that is labeled: masks, history and states survive kills, other programs and a second server."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.errors import DataError
from datamodules.segmentation.mask_io import read_stored_mask
from experiments.cli.usage import UsageError
from experiments.label.folder import LabelFolder
from experiments.label.history import History
from experiments.label.journal import Journal
from experiments.label.label_maps import UNKNOWN, class_colors, read_label_map, write_label_map
from experiments.label.open_image import OpenImage
from experiments.label.tools import apply_tool
from experiments.label.training_set import hold_one_out, write_training_set

ROOT = Path(__file__).parents[1]
STROKE = {"tool": "brush", "class": 1, "points": [[10, 10], [20, 10]], "radius": 3}
MORE = {"tool": "brush", "class": 1, "points": [[30, 20]], "radius": 4}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"p{number}.png")
    return tmp_path


def labels_on_disk(root: Path, name: str = "p0") -> NDArray[np.uint8]:
    return np.asarray(Image.open(root / "masks" / f"{name}.png"))


def test_stroke_is_on_disk_as_indexed_png(root: Path) -> None:
    with LabelFolder(root, ["dog", "cat"]) as folder:
        image = OpenImage(folder, folder.items[0])
        apply_tool(image, {**STROKE, "class": 2}, classes=2)
        stored = read_stored_mask(root / "masks" / "p0.png")
        assert folder.items[0].state == "partly"
    assert stored.values[10, 10] == stored.values[10, 20] == 2
    assert stored.values[31, 0] == UNKNOWN
    assert stored.palette[2] == class_colors(2)[1] == (86, 180, 233)


def test_finish_fills_unknown_pixels_with_background(root: Path) -> None:
    with LabelFolder(root) as folder:
        image = OpenImage(folder, folder.items[0])
        apply_tool(image, STROKE, classes=1)
        apply_tool(image, {"tool": "finish"}, classes=1)
        assert folder.items[0].state == "done"
        assert set(np.unique(labels_on_disk(root))) == {0, 1}
        apply_tool(image, {"tool": "undo"}, classes=1)
        assert folder.items[0].state == "partly"
        assert labels_on_disk(root)[31, 0] == UNKNOWN


def test_undo_and_redo_go_back_to_the_first_edit_in_a_later_session(root: Path) -> None:
    maps = []
    with LabelFolder(root) as folder:
        image = OpenImage(folder, folder.items[0])
        for x in range(5, 45, 4):
            maps.append(image.labels)
            apply_tool(image, {**STROKE, "points": [[x, x / 2]]}, classes=1)
    with LabelFolder(root) as folder:
        image = OpenImage(folder, folder.items[0])
        last = image.labels
        for expected in reversed(maps):
            apply_tool(image, {"tool": "undo"}, classes=1)
            assert np.array_equal(labels_on_disk(root), expected)
        assert apply_tool(image, {"tool": "undo"}, classes=1) is None
        for _ in maps:
            apply_tool(image, {"tool": "redo"}, classes=1)
        assert np.array_equal(labels_on_disk(root), last)


def test_new_edit_ends_redo(root: Path) -> None:
    with LabelFolder(root) as folder:
        image = OpenImage(folder, folder.items[0])
        apply_tool(image, STROKE, classes=1)
        apply_tool(image, {"tool": "undo"}, classes=1)
        apply_tool(image, MORE, classes=1)
        assert apply_tool(image, {"tool": "redo"}, classes=1) is None


@pytest.mark.parametrize("undone", [False, True])
def test_kill_between_journal_and_mask_loses_nothing(root: Path, monkeypatch: pytest.MonkeyPatch, undone: bool) -> None:
    with LabelFolder(root) as folder:
        image = OpenImage(folder, folder.items[0])
        apply_tool(image, STROKE, classes=1)
        before = image.labels

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("experiments.label.open_image.write_label_map", stop)
            with pytest.raises(KeyboardInterrupt):
                apply_tool(image, {"tool": "undo"} if undone else MORE, classes=1)
        assert np.array_equal(labels_on_disk(root), before)
    with LabelFolder(root) as folder:
        image = OpenImage(folder, folder.items[0])
        assert (image.labels[20, 30] == 1) != undone
        assert (image.labels[10, 10] == 1) != undone
        assert np.array_equal(labels_on_disk(root), image.labels)


@pytest.mark.parametrize("cut", [1, 20])
def test_incomplete_last_line_is_the_only_loss(tmp_path: Path, cut: int) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    journal.append({"n": 1, "text": "x" * 100})
    journal.append({"n": 2, "text": "y" * 100})
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:-cut])
    assert [record["n"] for record in journal.read()] == [1]
    journal.append({"n": 3})
    assert [record["n"] for record in journal.read()] == [1, 3]


def test_killed_process_leaves_a_whole_mask(root: Path) -> None:
    """The process is killed without warning while it paints as fast as it can."""
    code = f"""
import sys
from pathlib import Path
from experiments.label.folder import LabelFolder
from experiments.label.open_image import OpenImage
from experiments.label.tools import apply_tool
with LabelFolder(Path({str(root)!r})) as folder:
    image = OpenImage(folder, folder.items[0])
    for n in range(100000):
        stroke = {{"tool": "brush", "class": 1, "points": [[n * 7 % 48, n * 5 % 32]], "radius": 2, "erase": n % 3 == 0}}
        apply_tool(image, stroke, classes=1)
        print(n, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    process.kill()
    process.stdout.close()
    process.wait()
    with LabelFolder(root) as folder:
        assert folder.writable
        image = OpenImage(folder, folder.items[0])
        records = Journal(folder.history_path(folder.items[0])).read()
        assert len(records) == len(image.history.done) > 5
        replayed = np.full((32, 48), UNKNOWN, np.uint8)
        for edit in image.history.done:
            top, bottom, left, right = edit.rect
            assert np.array_equal(replayed[top:bottom, left:right], edit.labels_before())
            replayed[top:bottom, left:right] = edit.labels_after()
        assert np.array_equal(image.labels, replayed)


@pytest.mark.parametrize(("stored", "expected"), [([0, 255], [0, 1]), ([0, 1], [0, 1]), ([0, 1, 255], [0, 1, UNKNOWN])])
def test_mask_of_another_program_is_read(root: Path, stored: list[int], expected: list[int]) -> None:
    values = np.resize(np.array(stored, np.uint8), (32, 48))
    (root / "masks").mkdir()
    Image.fromarray(values).save(root / "masks" / "p0.png")
    assert np.array_equal(
        read_label_map(root / "masks" / "p0.png", size=(32, 48), classes=1), np.resize(expected, (32, 48))
    )


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_mask_of_another_program_is_backed_up_before_the_first_change(root: Path, suffix: str) -> None:
    values = np.zeros((32, 48), np.uint8)
    values[:16] = 255
    (root / "masks").mkdir()
    file = root / "masks" / f"p0{suffix}"
    Image.fromarray(values).save(file)
    original = file.read_bytes()
    with LabelFolder(root) as folder:
        assert folder.items[0].state == "done"
        image = OpenImage(folder, folder.items[0])
        assert file.read_bytes() == original
        for stroke in (STROKE, {**MORE, "points": [[40, 28]]}):
            apply_tool(image, stroke, classes=1)
    backups = list((root / ".label" / "backup").iterdir())
    assert [backup.read_bytes() for backup in backups] == [original]
    assert [path.name for path in (root / "masks").iterdir()] == ["p0.png"]
    assert labels_on_disk(root)[0, 47] == 1
    assert labels_on_disk(root)[28, 40] == 1


def test_mask_that_another_program_changed_is_opened(root: Path) -> None:
    with LabelFolder(root) as folder:
        apply_tool(OpenImage(folder, folder.items[0]), STROKE, classes=1)
        changed = np.zeros((32, 48), np.uint8)
        changed[5:9] = 1
        write_label_map(root / "masks" / "p0.png", changed, 1)
        image = OpenImage(folder, folder.items[0])
        assert np.array_equal(image.labels, changed)
        assert image.history.done == []
        assert list((root / ".label" / "history").glob("*.old"))


def test_mask_of_another_size_is_refused_by_name(root: Path) -> None:
    (root / "masks").mkdir()
    Image.new("L", (10, 10)).save(root / "masks" / "p0.png")
    with LabelFolder(root) as folder, pytest.raises(DataError, match=r"p0\.png: is 10 x 10, the image is 48 x 32"):
        OpenImage(folder, folder.items[0])


def test_second_process_is_read_only_and_names_the_first(root: Path) -> None:
    code = f"""
from pathlib import Path
from experiments.label.folder import LabelFolder
with LabelFolder(Path({str(root)!r})) as folder:
    print(folder.writable, folder.holder)
"""
    with LabelFolder(root) as folder:
        assert folder.writable
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False another run (process ")
    assert f"process {os.getpid()} " in done.stdout


@pytest.mark.parametrize("suffix", ["", ".gif"])
def test_second_process_sees_what_the_first_writes(root: Path, suffix: str) -> None:
    if suffix:
        (root / "masks").mkdir()
        Image.new("L", (48, 32)).save(root / "masks" / f"p0{suffix}")
    with LabelFolder(root) as folder:
        second = LabelFolder(root)
        image = OpenImage(folder, folder.items[0])
        for request in (STROKE, MORE):
            apply_tool(image, request, classes=1)
        seen = OpenImage(second, second.items[0])
    assert not second.writable
    assert seen.labels[10, 10] == seen.labels[20, 30] == 1
    assert np.array_equal(seen.labels, image.labels)


def test_states_and_classes_are_those_of_the_last_session(root: Path) -> None:
    with LabelFolder(root, ["dog", "cat"]) as folder:
        image = OpenImage(folder, folder.items[1])
        apply_tool(image, STROKE, classes=2)
        apply_tool(image, {"tool": "finish"}, classes=2)
    with LabelFolder(root) as folder:
        assert [item.state for item in folder.items] == ["none", "done", "none"]
        assert folder.classes == ("dog", "cat")
    with pytest.raises(UsageError, match="were drawn with the classes dog cat"):
        LabelFolder(root, ["cat", "dog"])
    assert LabelFolder(root, ["dog", "cat", "bird"]).classes == ("dog", "cat", "bird")


def test_images_that_would_share_a_mask_are_refused(root: Path) -> None:
    Image.new("RGB", (8, 8)).save(root / "p0.jpg")
    with pytest.raises(UsageError, match=r"p0\.jpg and p0\.png would share one mask masks/p0\.png"):
        LabelFolder(root)


def test_training_set_holds_labeled_images_with_unknown_pixels(root: Path) -> None:
    with LabelFolder(root, ["dog", "cat"]) as folder:
        images = [OpenImage(folder, item) for item in folder.items]
        for image in images[:2]:
            apply_tool(image, STROKE, classes=2)
            apply_tool(image, {"tool": "finish"}, classes=2)
        apply_tool(images[2], {**STROKE, "class": 2}, classes=2)
        held_out = hold_one_out(folder)
        assert held_out is folder.items[1]
        data = write_training_set(folder, root / ".label" / "data")
    assert (data.train, data.val) == (2, 1)
    assert {path.name for path in data.path.rglob("*.png")} == {"p0.png", "p1.png", "p2.png"}
    partly = np.asarray(Image.open(data.path / "train" / "masks" / "p2.png"))
    assert set(np.unique(partly)) == {2, UNKNOWN}
    assert "background" in data.config.read_text(encoding="utf-8")


def test_every_fifth_finished_image_is_held_out(tmp_path: Path) -> None:
    for number in range(11):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number:02}.png")
    with LabelFolder(tmp_path) as folder:
        for item in folder.items:
            folder.set_state(item, "done")
        folder.set_state(folder.items[0], "partly")
        folder.set_state(folder.items[0], "done")
        assert [item.number for item in folder.items if item.held_out] == [4, 9]


def test_queue_is_ordered_by_doubt(root: Path) -> None:
    with LabelFolder(root) as folder:
        assert folder.next_item(folder.items[0]) is folder.items[2]
        log = Journal(root / ".label" / "suggestions.jsonl")
        log.append({"key": "p0", "doubt": 0.1})
        log.append({"key": "p2", "doubt": 0.3})
        assert [item.key for item in folder.read_suggestion_log()] == ["p0", "p2"]
        assert folder.read_suggestion_log() == []
        assert folder.next_item(None) is folder.items[2]
        folder.set_state(folder.items[2], "done")
        assert folder.next_item(None) is folder.items[0]


def test_queue_without_suggestions_spreads_over_the_list(tmp_path: Path) -> None:
    for number in range(9):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    order = []
    with LabelFolder(tmp_path) as folder:
        item = folder.next_item(None)
        while item is not None:
            order.append(item.number)
            folder.set_state(item, "done")
            item = folder.next_item(item)
    assert order == [0, 8, 4, 2, 6, 1, 3, 5, 7]


def test_history_of_nothing_is_empty(tmp_path: Path) -> None:
    history = History(tmp_path / "none.jsonl")
    assert (history.done, history.undone, history.state) == ([], [], None)
