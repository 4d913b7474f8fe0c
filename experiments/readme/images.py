"""Makes the README's pictures from finished runs of the sample recipes.

python experiments/run.py --task segment
python experiments/run.py --task segment predict PHOTO ...
python experiments/readme/tensorboard.py runs/segment/sample --tab images --out /tmp
python experiments/readme/images.py segment runs/segment/sample PHOTO ...
python experiments/readme/images.py tensorboard /tmp/tensorboard-images.png

python experiments/run.py --task style
python experiments/run.py --task style predict PHOTO ...
python experiments/readme/images.py style runs/style/sample PHOTO ...

python experiments/run.py --task style --recipe painting --name starry_night --data.root PHOTOS --data.style_image FILE
python experiments/run.py --task style predict PHOTO ... --name starry_night
python experiments/readme/images.py paintings runs/style/starry_night runs/style/wave ... --photos PHOTO ...
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from callbacks.atomic_file import save_jpeg
from callbacks.prediction.matting import composite
from callbacks.visualization.image_grid import Panel, labelled
from datamodules.cache.places import user_cache_dir
from datamodules.index.pairs import pictures_below
from datamodules.io.image import read_image
from datamodules.samples.painting import ensure_sample_painting

PICTURES = Path(__file__).parents[1] / "pictures"
WIDTH = 640  # of one of segmentation's pictures in a sheet; they keep their own height
REPAINTED = 480, 360  # width and height of one of style's
TOP, BOTTOM = (38, 70, 83), (233, 196, 106)  # the backdrop that cut-outs are put before


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes ``segment.jpg``, ``style.jpg``, ``paintings.jpg`` or ``tensorboard.jpg``."""
    options = _parser().parse_args(arguments)
    if options.what == "tensorboard":
        sheet = read_image(options.screenshot)
    elif options.what == "segment":
        sheet = np.vstack([np.hstack(_mask_and_cutout(options.run, photo)) for photo in options.photos])
    elif options.what == "paintings":
        sheet = np.vstack([np.hstack(_in_manners(options.runs, photo)) for photo in options.photos])
    else:
        painting = options.painting or ensure_sample_painting(user_cache_dir() / "sample_painting")
        result = "result, random features" if options.random else "result"
        rows = [_repainted(options.run, photo, painting, result) for photo in options.photos]
        sheet = np.vstack([np.hstack(row) for row in rows])
    options.out.mkdir(parents=True, exist_ok=True)
    save_jpeg(options.out / f"{options.what}.jpg", sheet)
    print(f"saved: {options.out / options.what}.jpg")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Make the README's pictures.", allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=PICTURES, help="folder of the pictures")
    kinds = parser.add_subparsers(dest="what", required=True)
    segment, style = (kinds.add_parser(task, allow_abbrev=False) for task in ("segment", "style"))
    for task in (segment, style):
        task.add_argument("run", type=Path, help="folder of the run")
        task.add_argument("photos", type=Path, nargs="+", help="photographs that predict was given")
    style.add_argument("--painting", type=Path, help="the style picture, if it was not the project's own")
    style.add_argument("--random", action="store_true", help="the loss had no trained features: say so on the results")
    paintings = kinds.add_parser("paintings", allow_abbrev=False)
    paintings.add_argument("runs", type=Path, nargs="+", help="folders of the runs, named after their paintings")
    paintings.add_argument("--photos", type=Path, nargs="+", required=True, help="photographs that all were given")
    kinds.add_parser("tensorboard", allow_abbrev=False).add_argument(
        "screenshot", type=Path, help="TensorBoard as screenshot_tensorboard.py saw it"
    )
    return parser


def _mask_and_cutout(run: Path, photo: Path) -> list[np.ndarray]:
    """The photograph, the mask that was found, and the cut-out before another backdrop."""
    cutout = np.asarray(Image.open(run / "predictions" / "cutout" / f"{photo.stem}.png"))
    mask = read_image(run / "predictions" / "mask" / f"{photo.stem}.png")
    backdrop = _backdrop(cutout.shape[0], cutout.shape[1])
    return [_scaled(picture) for picture in (read_image(photo), mask, composite(cutout, backdrop))]


def _repainted(run: Path, photo: Path, painting: Path, result: str) -> list[np.ndarray]:
    """The photograph, the painting and the photograph in its manner, cut to one shape, each with its name on it."""
    named = {"photograph": photo, "painting": painting, result: _made(run, photo)}
    return [_labelled(read_image(path), label) for label, path in named.items()]


def _in_manners(runs: Sequence[Path], photo: Path) -> list[np.ndarray]:
    """The photograph and what each run made of it."""
    named = {"photograph": photo} | {run.name.replace("_", " "): _made(run, photo) for run in runs}
    return [_labelled(read_image(path), label) for label, path in named.items()]


def _made(run: Path, photo: Path) -> Path:
    (made,) = [path for path in pictures_below(run / "predictions") if path.stem == photo.stem]
    return made


def _labelled(picture: np.ndarray, label: str) -> np.ndarray:
    fitted = np.array(ImageOps.fit(Image.fromarray(picture), REPAINTED, Image.Resampling.LANCZOS))
    sheet: Tensor = labelled(Panel(label, torch.from_numpy(fitted).permute(2, 0, 1)))
    return sheet.permute(1, 2, 0).numpy()


def _backdrop(height: int, width: int) -> np.ndarray:
    share = np.linspace(0, 1, height)[:, None, None]
    colours = (1 - share) * np.array(TOP) + share * np.array(BOTTOM)
    return np.broadcast_to(colours, (height, width, 3)).astype(np.uint8)


def _scaled(picture: np.ndarray) -> np.ndarray:
    height = round(picture.shape[0] * WIDTH / picture.shape[1])
    return np.asarray(Image.fromarray(picture).resize((WIDTH, height), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    raise SystemExit(main())
