"""Weights of the classes in the cross-entropy: none, given by name, or from the data."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

ClassWeights = Literal["none", "auto"] | Mapping[str, float]


@runtime_checkable
class WeighsClasses(Protocol):
    """A data module that knows how often its classes occur."""

    @property
    def class_weights(self) -> Sequence[float]:
        """One weight per class."""
        ...


def check_class_weights(weights: ClassWeights, classes: Sequence[str]) -> None:
    """Compares the weights with the classes.

    Raises:
        ValueError: if there is one class, a name is unknown or missing, or a weight is not above 0.
    """
    if isinstance(weights, str):
        if weights == "auto" and len(classes) == 1:
            raise ValueError("class_weights auto is for several classes, and classes names 1: set it to none")
        return
    known = ", ".join(classes)
    if len(classes) == 1:
        raise ValueError("class_weights is for several classes, and classes names 1: leave it out")
    if unknown := [name for name in weights if name not in classes]:
        raise ValueError(f"class_weights names {', '.join(unknown)}, but the classes are {known}")
    if missing := [name for name in classes if name not in weights]:
        raise ValueError(
            f"class_weights has {len(weights)} weights for {len(classes)} classes: {', '.join(missing)} is missing"
        )
    for name, weight in weights.items():
        if not 0 < weight < math.inf:
            raise ValueError(f"class_weights of {name} must be above 0, not {weight}")


def resolve_class_weights(weights: ClassWeights, classes: Sequence[str], *, power: float, data: object) -> list[float]:
    """Returns one weight per class.

    Args:
        weights: checked by ``check_class_weights``.
        classes: names of the classes.
        power: exponent of the weights that the data module measures.
        data: the data module.

    Raises:
        ValueError: if weights are to be measured and the data module cannot.
    """
    if not isinstance(weights, str):
        return [float(weights[name]) for name in classes]
    if weights == "none":
        return [1.0] * len(classes)
    if not isinstance(data, WeighsClasses):
        raise ValueError(
            f"class_weights auto: {type(data).__name__} does not count the pixels of its classes; give the weights by "
            "name, or set it to none"
        )
    return [float(weight) ** power for weight in data.class_weights]
