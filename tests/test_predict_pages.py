"""Pages after the first of an image are named by ``predict``, which then exits with 1."""

from pathlib import Path

from PIL import Image

from datamodules.prediction.image_list import list_inputs
from experiments.commands.predict import unread_pages
from tests.helpers.tiny_images import noise, save


def test_pages_that_are_not_predicted_are_named(tmp_path: Path) -> None:
    save(tmp_path / "one.tif", noise(0))
    save(tmp_path / "one.png", noise(0))
    pages = [Image.fromarray(noise(number)) for number in range(3)]
    pages[0].save(tmp_path / "three.tif", save_all=True, append_images=pages[1:])
    (tmp_path / "torn.tif").write_bytes(b"II*\0")
    lines = unread_pages(list_inputs([str(tmp_path)]).files)
    assert lines == [f"{tmp_path / 'three.tif'}: has 3 pages or frames; only the first was predicted"]
