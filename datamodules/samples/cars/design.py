"""Shapes and paints of the cars, and the random choice of a design."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from datamodules.samples.cars.atlas import Color, Finish
from datamodules.samples.cars.studio import PLAIN, Wall


@dataclass(frozen=True)
class Shape:
    """A type of car. Lengths are in meters; positions along the car count from its front.

    Attributes:
        cowl: where the windscreen meets the bonnet.
        roof_front: where the roof begins.
        roof_rear: where the roof ends.
        rear: where the rear window meets the body.
        nose: height of the bonnet's front edge.
        bonnet: height of the bonnet at the cowl.
        belt: height of the lower edge of the windows, front and rear.
        tail: height of the body's rear edge.
        sill: height of the body's lower edge.
        square: exponents of the front and the rear outline in top view; more is squarer.
        pillars: positions of the pillars between side windows, as fractions of the way from cowl to rear.
        glass_to: rear end of the side windows, as a fraction of the way from cowl to rear.
        doors: door gaps, as fractions of the way between the wheel arches.
        tall: whether front and lamps are tall.
        rugged: whether sills and wheel arches have black cladding.
        bed: whether there is an open bed behind the cabin.
        rails: whether the roof has rails.
    """

    name: str
    length: float
    width: float
    height: float
    wheelbase: float
    overhang: float
    wheel: float
    cowl: float
    roof_front: float
    roof_rear: float
    rear: float
    nose: float
    bonnet: float
    belt: tuple[float, float]
    tail: float
    sill: float
    square: tuple[float, float]
    pillars: tuple[float, ...]
    glass_to: float
    doors: tuple[float, ...]
    tall: bool = False
    rugged: bool = False
    bed: bool = False
    rails: bool = False

    @property
    def upright(self) -> bool:
        """Whether the rear window is steep and at the end of the cabin, without a boot behind it."""
        return self.bed or self.length - self.rear < 0.25


SALOON = Shape(
    "Saloon", 4.72, 1.84, 1.44, 2.81, 0.90, 0.335, 1.30, 2.02, 3.30, 4.12, 0.74, 0.98, (0.93, 0.99), 0.98, 0.19,
    (8.5, 11.0), (0.45, 0.74), 0.86, (0.02, 0.50, 0.93),
)  # fmt: skip
HATCHBACK = Shape(
    "Hatchback", 3.98, 1.73, 1.49, 2.52, 0.80, 0.315, 1.06, 1.72, 3.40, 3.86, 0.76, 0.98, (0.94, 1.02), 0.98, 0.20,
    (8.0, 13.0), (0.43, 0.76), 0.88, (0.02, 0.52, 0.95),
)  # fmt: skip
SUV = Shape(
    "SUV", 4.78, 1.93, 1.74, 2.82, 0.94, 0.375, 1.36, 2.05, 4.28, 4.68, 0.92, 1.13, (1.09, 1.15), 1.12, 0.29,
    (9.5, 15.0), (0.37, 0.64), 0.93, (0.02, 0.50, 0.95), tall=True, rugged=True, rails=True,
)  # fmt: skip
PICKUP = Shape(
    "Pickup", 5.25, 1.86, 1.75, 3.22, 0.92, 0.38, 1.34, 1.98, 3.02, 3.26, 0.95, 1.12, (1.10, 1.13), 1.10, 0.34,
    (11.0, 22.0), (0.66,), 0.88, (0.02, 0.42), tall=True, rugged=True, bed=True,
)  # fmt: skip
VAN = Shape(
    "Van", 4.92, 1.95, 1.93, 3.02, 0.93, 0.345, 0.98, 1.72, 4.62, 4.86, 0.88, 1.12, (1.08, 1.10), 1.08, 0.22,
    (8.5, 18.0), (0.35, 0.66), 0.95, (0.02, 0.38, 0.80), tall=True,
)  # fmt: skip
COUPE = Shape(
    "Coupe", 4.58, 1.86, 1.35, 2.74, 0.92, 0.345, 1.42, 2.12, 3.02, 4.20, 0.69, 0.93, (0.89, 0.97), 0.97, 0.17,
    (7.5, 9.5), (0.56,), 0.80, (0.03, 0.66),
)  # fmt: skip
ESTATE = Shape(
    "Estate", 4.78, 1.84, 1.47, 2.82, 0.92, 0.34, 1.30, 2.02, 4.12, 4.66, 0.75, 0.98, (0.94, 1.00), 0.97, 0.20,
    (8.5, 13.0), (0.38, 0.64), 0.92, (0.02, 0.50, 0.93), rails=True,
)  # fmt: skip
SHAPES = (SALOON, SUV, HATCHBACK, PICKUP, COUPE, VAN, ESTATE)


def solid(color: Color) -> Finish:
    """Glossy paint of one color."""
    return Finish(color, coat=1.0, metal=0.0, gloss=1.0)


def metallic(color: Color, share: float = 0.45) -> Finish:
    """Metallic paint under a clear coat."""
    return Finish(color, coat=1.0, metal=share, gloss=0.15)


PAINTS: dict[str, Finish] = {
    "White": solid((0.80, 0.80, 0.79)),
    "Blue": metallic((0.016, 0.036, 0.17)),
    "Silver": metallic((0.52, 0.53, 0.54), 0.6),
    "Black": solid((0.008, 0.008, 0.010)),
    "Red": solid((0.38, 0.014, 0.018)),
    "Graphite": metallic((0.085, 0.088, 0.095)),
    "Light blue": solid((0.30, 0.46, 0.54)),
    "Pearl": metallic((0.76, 0.75, 0.70), 0.25),
    "Bronze": metallic((0.20, 0.13, 0.075)),
    "Green": metallic((0.020, 0.075, 0.050)),
    "Gray": metallic((0.30, 0.31, 0.33), 0.5),
    "Orange": solid((0.62, 0.13, 0.015)),
}


@dataclass(frozen=True)
class Design:
    """All properties that distinguish one car from another."""

    shape: Shape
    paint_name: str
    paint: Finish
    trim: Finish
    lining: Finish
    glass: Finish
    rear_glass: Finish
    rim: Finish
    spokes: int
    twin_spokes: bool
    chrome: bool
    grille_bars: int
    twin_lamps: bool
    sunroof: bool
    panelled: bool
    mast: float
    yaw: float
    off_center: tuple[float, float]
    exposure: float
    warmth: float
    year: int
    plate: str
    wall: Wall = PLAIN


def _vary(shape: Shape, rng: np.random.Generator, spread: float) -> Shape:
    """A random variation of a shape; its range is multiplied by ``spread``."""

    def draw(low: float, high: float) -> float:
        return float(rng.uniform(spread * low, spread * high))

    grow = draw(-0.06, 0.06)
    lift = draw(-0.025, 0.025)
    low, high = shape.belt
    return replace(
        shape,
        length=shape.length + grow,
        wheelbase=shape.wheelbase + 0.6 * grow,
        width=shape.width + draw(-0.025, 0.025),
        height=shape.height + lift,
        cowl=shape.cowl + draw(-0.03, 0.03),
        roof_front=shape.roof_front + draw(-0.05, 0.05),
        roof_rear=shape.roof_rear + 0.5 * grow + draw(-0.05, 0.03),
        rear=shape.rear + 0.7 * grow,
        nose=shape.nose + draw(-0.02, 0.03),
        belt=(low + 0.4 * lift, high + 0.4 * lift + draw(0.0, 0.02)),
        wheel=shape.wheel + draw(-0.008, 0.012),
    )


def design_car(
    seed: int,
    car: int,
    *,
    shapes: Sequence[Shape] = SHAPES,
    paints: Mapping[str, Finish] = PAINTS,
    spread: float = 1.0,
) -> Design:
    """Design number ``car`` of the set ``seed``.

    Args:
        seed: seed of the set.
        car: number of the design, from 0.
        shapes: cycled in a random order.
        paints: cycled in a random order.
        spread: factor on the range of the random changes of a shape.
    """
    order = np.random.default_rng([seed, 1])
    shape_order, paint_order = order.permutation(len(shapes)), order.permutation(len(paints))
    rng = np.random.default_rng([seed, 2, car])
    name = list(paints)[paint_order[car % len(paints)]]
    shape = _vary(shapes[shape_order[car % len(shapes)]], rng, spread)
    tint = float(rng.choice([0.62, 0.55, 0.45]))
    dark = (shape.tall and not shape.bed) or rng.random() < 0.25
    rim_light = float(rng.choice([0.62, 0.50, 0.04], p=[0.5, 0.3, 0.2]))
    lining = float(rng.choice([0.035, 0.10, 0.22], p=[0.5, 0.3, 0.2]))
    letters = "".join(rng.choice(list("ABCDEFGHJKLMNPRSTUVWXYZ"), 3))
    return Design(
        shape=shape,
        paint_name=name,
        paint=paints[name],
        trim=Finish((0.018, 0.018, 0.019), coat=0.35, gloss=0.2),
        lining=Finish((lining, lining * 0.96, lining * 0.9)),
        glass=Finish((tint, tint * 1.03, tint), coat=1.0, gloss=1.0, see=1.0),
        rear_glass=Finish((0.12, 0.125, 0.12) if dark else (tint, tint * 1.03, tint), coat=1.0, gloss=1.0, see=1.0),
        rim=Finish((rim_light, rim_light, rim_light * 1.02), coat=0.6, metal=0.55, gloss=0.4),
        spokes=int(rng.choice([5, 6, 7, 9, 10])),
        twin_spokes=bool(rng.random() < 0.35),
        chrome=bool(rng.random() < 0.55),
        grille_bars=int(rng.integers(3, 8)),
        twin_lamps=bool(rng.random() < 0.5),
        sunroof=bool(rng.random() < 0.35) and not shape.bed,
        panelled=shape.tall and not shape.rugged and bool(rng.random() < 0.4),
        mast=float(rng.choice([0.0, 0.22, 0.42, 0.75])),
        yaw=float(rng.uniform(-0.03, 0.03)),
        off_center=(float(rng.uniform(-0.12, 0.12)), float(rng.uniform(-0.08, 0.08))),
        exposure=float(rng.uniform(0.93, 1.04)),
        warmth=float(rng.uniform(-0.02, 0.025)),
        year=int(rng.integers(2009, 2020)),
        plate=f"{letters} {int(rng.integers(100, 1000))}",
    )
