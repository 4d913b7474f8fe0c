"""Makes the README's pictures from a finished run of the sample recipe.

python experiments/run.py --task segment
python experiments/run.py --task segment predict PHOTO ...
python experiments/screenshot_tensorboard.py runs/segment/sample --tab images --out /tmp
python experiments/readme_pictures.py runs/segment/sample PHOTO ... --screenshot /tmp/tensorboard-images.png
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from callbacks.cutout import composite
from callbacks.whole_file import save_jpeg
from datamodules.read import read_image

PICTURES = Path(__file__).parent / "pictures"
WIDTH = 640  # of one picture in the sheet
TOP, BOTTOM = (38, 70, 83), (233, 196, 106)  # the backdrop that cut-outs are put before


def main() -> int:
    """Writes ``segment.jpg`` and, from a screenshot, ``tensorboard.jpg``."""
    parser = argparse.ArgumentParser(description="Make the README's pictures.", allow_abbrev=False)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("photos", type=Path, nargs="+", help="photographs that predict was given")
    parser.add_argument("--screenshot", type=Path, help="TensorBoard as screenshot_tensorboard.py saw it")
    options = parser.parse_args()
    rows = [np.hstack([_scaled(picture) for picture in _three(options.run, photo)]) for photo in options.photos]
    save_jpeg(PICTURES / "segment.jpg", np.vstack(rows))
    if options.screenshot:
        save_jpeg(PICTURES / "tensorboard.jpg", read_image(options.screenshot))
    print(f"saved in {PICTURES}")
    return 0


def _three(run: Path, photo: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The photograph, the mask that was found, and the cut-out before another backdrop."""
    cutout = np.asarray(Image.open(run / "predictions" / "cutout" / f"{photo.stem}.png"))
    return (
        read_image(photo),
        read_image(run / "predictions" / "mask" / f"{photo.stem}.png"),
        composite(cutout, _backdrop(cutout.shape[0], cutout.shape[1])),
    )


def _backdrop(height: int, width: int) -> np.ndarray:
    share = np.linspace(0, 1, height)[:, None, None]
    colours = (1 - share) * np.array(TOP) + share * np.array(BOTTOM)
    return np.broadcast_to(colours, (height, width, 3)).astype(np.uint8)


def _scaled(picture: np.ndarray) -> np.ndarray:
    height = round(picture.shape[0] * WIDTH / picture.shape[1])
    return np.asarray(Image.fromarray(picture).resize((WIDTH, height), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    raise SystemExit(main())
