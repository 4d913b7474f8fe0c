"""The style that a network of many styles applies: one by its name, or a blend."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Union

from experiments.cli.usage import UsageError, unknown
from experiments.inference.networks import StyleNetwork

if TYPE_CHECKING:
    from lightning_modules.style import StyleModule


def parse_blend(text: str) -> dict[str, float]:
    """Reads a style or a blend of styles: names with weights, separated by commas.

    >>> parse_blend("starry_night"), parse_blend("starry_night:0.7, wave:0.3")
    ({'starry_night': 1.0}, {'starry_night': 0.7, 'wave': 0.3})

    Raises:
        UsageError: if it is empty, a name is given twice, or a weight is no number.
    """
    blend: dict[str, float] = {}
    for word in (part.strip() for part in text.split(",")):
        name, colon, number = (piece.strip() for piece in word.partition(":"))
        try:
            weight = float(number) if colon else 1.0
        except ValueError:
            weight = math.nan
        if not name or not math.isfinite(weight) or name in blend:
            raise UsageError(f"--style {text}: write NAME, or a blend of different styles NAME:0.7,NAME:0.3")
        blend[name] = weight
    return blend


def choose_style(model: Union["StyleModule", StyleNetwork], style: str | Mapping[str, float] | None) -> None:
    """Fixes the style of a network of many styles, in place; a network of one style stays as it is.

    Args:
        model: a trained module.
        style: a name, a blend as ``parse_blend`` reads it or as weights by name, or ``None``, which is enough for a
            network of one style.

    Raises:
        UsageError: if a style is needed and none is given, a name does not exist, the weights of a blend have no
            positive sum, or the network has one style only.
    """
    names = model.styles
    if model.many_styles is None:
        if style is not None:
            known = f", {names[0]}" if names else ""
            raise UsageError(f"--style {style}: this network has one style{known}: leave --style out")
        return
    if style is None and len(names) > 1:
        raise UsageError(
            f"this network has {len(names)} styles: choose one with --style {names[0]}, or a blend with --style "
            f"{names[0]}:0.7,{names[1]}:0.3. There are: {', '.join(names)}"
        )
    blend = {names[0]: 1.0} if style is None else parse_blend(style) if isinstance(style, str) else dict(style)
    for name in blend:
        if name not in names:
            raise unknown("style", name, names)
    total = sum(blend.values())
    if not total > 0:
        raise UsageError(f"--style {style}: the weights of a blend must have a sum above 0, not {total:g}")
    model.fix_style(blend)
