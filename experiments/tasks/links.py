"""Values of the data module that the model takes over, and that a checkpoint's record holds."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Link:
    """A value of the data module that is copied to the model, as ``link_arguments`` of jsonargparse does it.

    Args:
        source: attribute of the data module, ``data.<name>``.
        target: argument of the module or its network.
        compute: applied to the value; ``None`` copies it.
        recorded: key of the checkpoint's record that holds the value.
    """

    source: str
    target: str
    compute: Callable[..., object] | None = None
    recorded: str


SEGMENT_LINKS = (
    Link(source="data.class_names", target="model.classes", recorded="classes"),
    Link(source="data.class_names", target="model.net.init_args.classes", compute=len, recorded="classes"),
)
STYLE_LINKS = (
    Link(source="data.style_names", target="model.styles", recorded="styles"),
    Link(source="data.style_names", target="model.net.init_args.styles", recorded="styles"),
    Link(source="data.style_names", target="model.loss.init_args.styles", compute=len, recorded="styles"),
)
