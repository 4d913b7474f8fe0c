"""Finds images and their color-coded masks: Pascal VOC's layout, or any that ``--data.root`` finds."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from datamodules.annotations.annotation_set import Skipped, split_of
from datamodules.annotations.color_masks import ColorMask, choose_palette, count_colors, pack, unpack
from datamodules.annotations.palette_file import read_palette
from datamodules.annotations.palettes import PALETTES, Palette
from datamodules.errors import DataError
from datamodules.index.pairs import Pair, pair_by_stem
from datamodules.index.splits import Split
from datamodules.io.home_folder import expand_home
from datamodules.loading.parallel import map_files, raise_together
from datamodules.segmentation.layouts import SPLIT_FIELD, find_layout, split_folders
from datamodules.segmentation.voc import IMAGES, MASKS, read_splits

_MAX_DEPTH = 3  # of the folder SegmentationClass, as in VOCdevkit/VOC2012/SegmentationClass
_PALETTE_FILES = ("labelmap.txt", "label_colors.txt", "class_dict.csv", "palette.txt")
_SHOWN = 40  # colors that are listed


@dataclass(frozen=True, kw_only=True)
class ColorSource:
    """Masks and the palette of their colors.

    Args:
        items: images with masks.
        palette: the palette.
        labels: its classes that occur, in the order of the palette.
        skipped: images and masks without a partner.
        notes: lines for the user: which palette was used and why, and the colors that were found.
    """

    items: list[ColorMask]
    palette: Palette
    labels: list[str]
    skipped: list[Skipped]
    notes: list[str]


def read_color_source(
    source: Path, images: Path | None, *, voc: bool, palette: str | None, workers: int
) -> ColorSource:
    """Pairs images and masks, and finds the palette.

    Args:
        source: folder of the data; with ``images``, the folder of the masks.
        images: folder of the images.
        voc: whether the layout is that of Pascal VOC, whose palette is the default then.
        palette: name of a known palette, or a file; ``None`` takes a file beside the masks, or finds it.
        workers: processes that read the masks.

    Raises:
        DataError: if a folder or file is missing or cannot be read.
    """
    items, skipped, place = _voc_items(source, images) if voc else _items(source, images)
    if not items:
        raise DataError(f"{source} holds no mask with an image")
    counted = map_files(count_colors, items, workers=workers, title="reading colors")
    raise_together(counted)
    colors: Counter[int] = Counter()
    numbers: Counter[int] = Counter()
    for outcome in counted:
        if not isinstance(outcome, DataError):
            (colors if outcome[1] else numbers).update(outcome[0])
    chosen, reason = _palette(palette, place, voc=voc, colors=colors)
    packed = {pack(color): name for name, color in reversed(list(chosen.colors.items()))}
    names = list(chosen.colors)
    found = {packed[color] for color in colors if color in packed}
    found |= {names[n - chosen.first] for n in numbers if 0 <= n - chosen.first < len(names)} - _ignored(chosen)
    notes = [f"palette: {chosen.name} ({reason})", *_color_lines(colors, packed, chosen)]
    labels = [name for name in names if name in found]
    return ColorSource(items=items, palette=chosen, labels=labels, skipped=skipped, notes=notes)


def _ignored(palette: Palette) -> set[str]:
    """Classes whose numbers are ignored."""
    names = list(palette.colors)
    return {
        names[number - palette.first] for number in palette.ignored_numbers if 0 <= number - palette.first < len(names)
    }


def _palette(word: str | None, place: Path, *, voc: bool, colors: Counter[int]) -> tuple[Palette, str]:
    if word in PALETTES:
        return PALETTES[word], "as asked for"
    if word is not None:
        file = expand_home(word)
        if not file.is_file():
            raise DataError(f"--palette {word}: is no file, and none of {', '.join(PALETTES)}")
        return read_palette(file), "as asked for"
    for name in _PALETTE_FILES:
        if (place / name).is_file():
            return read_palette(place / name), f"found beside the masks: {place / name}"
    if voc:
        return PALETTES["voc"], "the default of --from voc"
    if not colors:
        raise DataError(
            f"{place}: the masks hold numbers and no colors: train on them with --data.root, or name what the numbers "
            f"stand for with --palette ({', '.join(PALETTES)}, or a file)"
        )
    return choose_palette(colors)


def _color_lines(colors: Counter[int], packed: dict[int, str], palette: Palette) -> list[str]:
    total = sum(colors.values())
    lines = []
    for color, count in colors.most_common(_SHOWN):
        red, green, blue = unpack(color)
        unknown = "ignored" if (red, green, blue) in palette.ignore else "unknown"
        lines.append(f"  {red:3} {green:3} {blue:3}  {count / total:6.2%}  {packed.get(color, unknown)}")
    more = len(colors) - _SHOWN
    return [*lines, *([f"  ... and {more} more colors"] if more > 0 else [])]


def _voc_items(source: Path, images: Path | None) -> tuple[list[ColorMask], list[Skipped], Path]:
    depth = ["/".join(["*"] * level + [MASKS]) for level in range(_MAX_DEPTH)]
    masks = next((found for pattern in depth for found in sorted(source.glob(pattern)) if found.is_dir()), None)
    if masks is None:
        raise DataError(f"{source} holds no folder {MASKS}: name the folder of VOC2012, or use --from rgb")
    root = masks.parent
    place = images or root / IMAGES
    if not place.is_dir():
        raise DataError(f"{root} has no folder {IMAGES}: name the folder of the images with --images FOLDER")
    splits = read_splits(root)
    pairs, skipped = _pairs(root, place, masks, "")
    items = [
        ColorMask(name=_below(place, pair), image=pair.image, mask=pair.mask, split=splits.get(pair.key))
        for pair in pairs
    ]
    return items, skipped, root


def _items(source: Path, images: Path | None) -> tuple[list[ColorMask], list[Skipped], Path]:
    if images is not None:
        pairs, skipped = _pairs(source, images, source, "")
        return [_item(images, pair, None) for pair in pairs], skipped, source
    layout = find_layout(source)
    if SPLIT_FIELD not in layout.image_dir:
        place = source / layout.image_dir
        pairs, skipped = _pairs(source, place, source / layout.mask_dir, layout.mask_suffix)
        return [_item(place, pair, None) for pair in pairs], skipped, source
    items: list[ColorMask] = []
    skipped = []
    for split, (place, masks) in split_folders(source, layout.image_dir, layout.mask_dir).items():
        if masks.is_dir():
            pairs, unused = _pairs(source, place, masks, layout.mask_suffix)
            items += [_item(place, pair, split) for pair in pairs]
            skipped += unused
    return items, skipped, source


def _pairs(root: Path, images: Path, masks: Path, suffix: str) -> tuple[list[Pair], list[Skipped]]:
    pairs, problems = pair_by_stem(root, images, masks, mask_suffix=suffix)
    return pairs, [Skipped(problem.kind, problem.name) for problem in problems]


def _item(folder: Path, pair: Pair, split: Split | None) -> ColorMask:
    name = _below(folder, pair)
    return ColorMask(name=name, image=pair.image, mask=pair.mask, split=split or split_of(PurePosixPath(name)))


def _below(folder: Path, pair: Pair) -> str:
    return pair.image.relative_to(folder).as_posix()
