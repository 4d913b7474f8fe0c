"""Transforms of albumentations by name, as configurations list them."""

import difflib
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2

if TYPE_CHECKING:
    import albumentations as A

#: A name, or a name with its arguments: ``HorizontalFlip`` or ``{Affine: {scale: [0.8, 1.2], p: 0.5}}``.
TransformSpec = str | dict[str, dict[str, Any]]

#: The classes that may be named. The others of albumentations 2.0.8 call functions or read files that an argument names
#: (``Lambda``, ``TextImage``, ``FDA``, ``HistogramMatching``, ``PixelDistributionAdaptation``), need more than an image
#: and its mask (boxes, other images, volumes, spectrograms), change the type of the pixels (``Normalize``, ``ToFloat``,
#: ``ToTensorV2``), treat class numbers as amounts (``Morphological``, ``MaskDropout``), or are deprecated.
NAMES = frozenset({
    # geometry, crops and distortions: image and mask
    "Affine", "CenterCrop", "Crop", "CropAndPad", "CropNonEmptyMaskIfExists", "D4", "ElasticTransform",
    "GridDistortion", "GridElasticDeform", "HorizontalFlip", "LongestMaxSize", "OpticalDistortion", "Pad",
    "PadIfNeeded", "Perspective", "RandomCrop", "RandomCropFromBorders", "RandomGridShuffle",
    "RandomResizedCrop", "RandomRotate90", "RandomScale", "RandomSizedCrop", "Resize", "Rotate", "SafeRotate",
    "SmallestMaxSize", "SquareSymmetry", "ThinPlateSpline", "Transpose", "VerticalFlip",
    # erased regions; the mask stays unless fill_mask is given
    "ChannelDropout", "CoarseDropout", "Erasing", "GridDropout", "PixelDropout",
    "XYMasking",
    # blur, noise, light and color: the image alone
    "AdditiveNoise", "AdvancedBlur", "AutoContrast", "Blur", "CLAHE", "ChannelShuffle", "ChromaticAberration",
    "ColorJitter", "Defocus", "Downscale", "Emboss", "Equalize", "FancyPCA", "GaussNoise", "GaussianBlur", "GlassBlur",
    "HEStain", "HueSaturationValue", "ISONoise", "Illumination", "ImageCompression", "InvertImg", "MedianBlur",
    "MotionBlur", "MultiplicativeNoise", "PlanckianJitter", "PlasmaBrightnessContrast", "PlasmaShadow", "Posterize",
    "RGBShift", "RandomBrightnessContrast", "RandomFog", "RandomGamma", "RandomGravel", "RandomRain", "RandomShadow",
    "RandomSnow", "RandomSunFlare", "RandomToneCurve", "RingingOvershoot", "SaltAndPepper", "Sharpen", "ShotNoise",
    "Solarize", "Spatter", "Superpixels", "ToGray", "ToSepia", "UnsharpMask", "ZoomBlur",
})  # fmt: skip
_IGNORED = 255  # class number of pixels that no loss counts
_MAX_DEPTH = 4


def build_transforms(specs: Sequence[TransformSpec], *, coverage: bool) -> "list[A.BasicTransform]":
    """Makes the transforms that a configuration lists.

    Departures from albumentations' defaults: masks of foreground coverage are interpolated linearly, as the image is;
    pixels of a class mask that come from outside the image are ignored (255) instead of class 0.

    Args:
        specs: names, with arguments that are plain values.
        coverage: whether masks hold foreground coverage (``True``) or class numbers (``False``).

    Raises:
        ValueError: if a name is not in ``NAMES``, or an argument does not exist or is out of its range.
    """
    return [_build(spec, coverage=coverage) for spec in specs]


def describe_transforms(specs: Sequence[TransformSpec]) -> str:
    """Formats a list of transforms for reports.

    >>> describe_transforms(["D4", {"Affine": {"scale": [0.8, 1.2], "p": 0.5}}])
    'D4, Affine(scale=[0.8, 1.2], p=0.5)'
    """
    parts = []
    for spec in specs:
        name, arguments = _name_and_arguments(spec)
        listed = ", ".join(f"{key}={value}" for key, value in arguments.items())
        parts.append(f"{name}({listed})" if listed else name)
    return ", ".join(parts)


def _build(spec: TransformSpec, *, coverage: bool) -> "A.BasicTransform":
    import albumentations as A  # late: see albumentations_compat

    name, arguments = _name_and_arguments(spec)
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "use the name of a class, such as HorizontalFlip"
        raise ValueError(
            f"transforms: '{name}' is not one of the transforms of albumentations that may be used: {hint}"
        )
    kind: type[A.BasicTransform] = vars(A)[name]
    parameters = inspect.signature(kind).parameters
    for key, value in arguments.items():
        if key not in parameters:
            raise ValueError(f"transforms: {name} has no argument '{key}', only {', '.join(parameters)}")
        if not _is_plain(value, _MAX_DEPTH):
            raise ValueError(f"transforms: {name}.{key} must be numbers, text or lists of them, not {value!r}")
    if coverage and "mask_interpolation" in parameters:
        arguments.setdefault("mask_interpolation", cv2.INTER_LINEAR)
    if not coverage and "fill_mask" in parameters and parameters["fill_mask"].default is not None:
        arguments.setdefault("fill_mask", _IGNORED)
    try:
        return kind(**arguments)
    except (ValueError, TypeError) as error:
        raise ValueError(f"transforms: {name}: {_first_reason(error)}") from error


def _name_and_arguments(spec: TransformSpec) -> tuple[str, dict[str, Any]]:
    if isinstance(spec, str):
        return spec, {}
    if len(spec) != 1:
        raise ValueError(f"transforms: an entry is NAME or {{NAME: {{ARGUMENT: VALUE}}}}, not {dict(spec)}")
    ((name, arguments),) = spec.items()
    return name, dict(arguments or {})


def _is_plain(value: object, depth: int) -> bool:
    if isinstance(value, list | tuple):
        return depth > 0 and all(_is_plain(child, depth - 1) for child in value)
    if isinstance(value, Mapping):
        return depth > 0 and all(isinstance(k, str) and _is_plain(child, depth - 1) for k, child in value.items())
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def _first_reason(error: Exception) -> str:
    """The first reason of a validation error, whose message has a headline, the argument, and the reason in lines."""
    lines = [line.strip() for line in str(error).splitlines()]
    if len(lines) < 3:
        return lines[0] if lines else type(error).__name__
    return f"{lines[1]}: {lines[2].partition(' [type=')[0].removeprefix('Value error, ')}"
