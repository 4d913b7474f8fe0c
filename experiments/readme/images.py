"""Makes the README's images from finished runs of the sample recipes.

python experiments/run.py --task segment
python experiments/run.py --task segment predict IMAGE ...
python -m experiments.readme.tensorboard runs/segment/sample --tab images --out /tmp
python -m experiments.readme.images segment runs/segment/sample IMAGE ...
python -m experiments.readme.images tensorboard /tmp/tensorboard-images.png

python experiments/run.py --task style
python experiments/run.py --task style predict IMAGE ...
python -m experiments.readme.images style runs/style/sample IMAGE ...

python experiments/run.py --task style predict --net styles --style wave --out the_great_wave/predictions IMAGE ...
python -m experiments.readme.images paintings starry_night the_great_wave ... --images IMAGE ...
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from callbacks.output_file import save_jpeg
from callbacks.prediction.matting import composite
from callbacks.visualization.image_grid import Panel, draw_label
from datamodules.cache.location import user_cache_dir
from datamodules.index.folder_scan import list_images
from datamodules.io.image import read_image
from datamodules.samples.painting import ensure_sample_painting

PICTURES = Path(__file__).parents[1] / "pictures"
WIDTH = 640  # width of one image of segmentation; the aspect ratio is kept
STYLIZED = 480, 360  # width and height of one image of style
TOP, BOTTOM = (38, 70, 83), (233, 196, 106)  # colors of the gradient behind cut-outs


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes ``segment.jpg``, ``style.jpg``, ``paintings.jpg`` or ``tensorboard.jpg``."""
    options = _parser().parse_args(arguments)
    if options.what == "tensorboard":
        sheet = read_image(options.screenshot)
    elif options.what == "segment":
        sheet = np.vstack([np.hstack(_segment_row(options.run, source)) for source in options.images])
    elif options.what == "paintings":
        sheet = np.vstack([np.hstack(_results_of_runs(options.runs, source)) for source in options.images])
    else:
        painting = options.painting or ensure_sample_painting(user_cache_dir() / "sample_painting")
        result = "result, random features" if options.random else "result"
        rows = [_style_row(options.run, source, painting, result) for source in options.images]
        sheet = np.vstack([np.hstack(row) for row in rows])
    options.out.mkdir(parents=True, exist_ok=True)
    save_jpeg(options.out / f"{options.what}.jpg", sheet)
    print(f"saved: {options.out / options.what}.jpg")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Make the images of the README.", allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=PICTURES, help="output folder")
    kinds = parser.add_subparsers(dest="what", required=True)
    segment, style = (kinds.add_parser(task, allow_abbrev=False) for task in ("segment", "style"))
    for task in (segment, style):
        task.add_argument("run", type=Path, help="folder of the run")
        task.add_argument("images", type=Path, nargs="+", help="images that were given to predict")
    style.add_argument("--painting", type=Path, help="the style image, if it was not the sample painting")
    style.add_argument("--random", action="store_true", help="label the results as made with random features")
    paintings = kinds.add_parser("paintings", allow_abbrev=False)
    paintings.add_argument("runs", type=Path, nargs="+", help="folders with predictions/; their names are the labels")
    paintings.add_argument("--images", type=Path, nargs="+", required=True, help="images given to predict in all runs")
    kinds.add_parser("tensorboard", allow_abbrev=False).add_argument(
        "screenshot", type=Path, help="screenshot made by experiments/readme/tensorboard.py"
    )
    return parser


def _segment_row(run: Path, source: Path) -> list[np.ndarray]:
    """The image, the predicted mask, and the cut-out on another background."""
    cutout = np.asarray(Image.open(run / "predictions" / "cutout" / f"{source.stem}.png"))
    mask = read_image(run / "predictions" / "mask" / f"{source.stem}.png")
    backdrop = _backdrop(cutout.shape[0], cutout.shape[1])
    return [_resized(image) for image in (read_image(source), mask, composite(cutout, backdrop))]


def _style_row(run: Path, source: Path, painting: Path, result: str) -> list[np.ndarray]:
    """The image, the painting and the result, cropped to one size and labeled."""
    named = {"image": source, "painting": painting, result: _result_of(run, source)}
    return [_labelled(read_image(path), label) for label, path in named.items()]


def _results_of_runs(runs: Sequence[Path], source: Path) -> list[np.ndarray]:
    """The image and the result of each run."""
    named = {"image": source} | {run.name.replace("_", " "): _result_of(run, source) for run in runs}
    return [_labelled(read_image(path), label) for label, path in named.items()]


def _result_of(run: Path, source: Path) -> Path:
    (made,) = [path for path in list_images(run / "predictions") if path.stem == source.stem]
    return made


def _labelled(image: np.ndarray, label: str) -> np.ndarray:
    fitted = np.array(ImageOps.fit(Image.fromarray(image), STYLIZED, Image.Resampling.LANCZOS))
    sheet: Tensor = draw_label(Panel(label, torch.from_numpy(fitted).permute(2, 0, 1)))
    return sheet.permute(1, 2, 0).numpy()


def _backdrop(height: int, width: int) -> np.ndarray:
    fraction = np.linspace(0, 1, height)[:, None, None]
    colors = (1 - fraction) * np.array(TOP) + fraction * np.array(BOTTOM)
    return np.broadcast_to(colors, (height, width, 3)).astype(np.uint8)


def _resized(image: np.ndarray) -> np.ndarray:
    height = round(image.shape[0] * WIDTH / image.shape[1])
    return np.asarray(Image.fromarray(image).resize((WIDTH, height), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    raise SystemExit(main())
