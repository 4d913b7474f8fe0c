"""A wider choice of cars and walls than the sample set's, for training before real cars are seen."""

from dataclasses import replace

import numpy as np

from datamodules.samples.cars.design import PAINTS, SHAPES, Design, Shape, design_car, metallic, solid
from datamodules.samples.cars.studio import Wall

SINGLE_CAB = Shape(
    "Single cab", 5.20, 1.80, 1.69, 3.10, 0.86, 0.36, 1.34, 1.98, 2.62, 2.84, 0.92, 1.08, (1.05, 1.07), 1.05, 0.34,
    (11.0, 22.0), (0.93,), 0.86, (0.02, 0.36), tall=True, rugged=True, bed=True,
)  # fmt: skip
DOUBLE_CAB = Shape(
    "Double cab", 5.75, 2.00, 1.90, 3.62, 1.00, 0.42, 1.50, 2.16, 3.88, 4.12, 1.06, 1.25, (1.22, 1.25), 1.22, 0.40,
    (11.0, 22.0), (0.40, 0.72), 0.92, (0.02, 0.36, 0.68), tall=True, rugged=True, bed=True,
)  # fmt: skip
MINIVAN = Shape(
    "Minivan", 5.08, 1.97, 1.75, 3.02, 0.96, 0.345, 1.10, 1.92, 4.52, 5.00, 0.82, 1.04, (1.00, 1.06), 1.04, 0.20,
    (8.0, 13.0), (0.33, 0.62), 0.94, (0.02, 0.42, 0.84), rails=True,
)  # fmt: skip
CITY_CAR = Shape(
    "City car", 3.62, 1.62, 1.51, 2.39, 0.72, 0.29, 0.92, 1.52, 3.18, 3.52, 0.78, 0.98, (0.95, 1.06), 1.00, 0.19,
    (8.0, 13.0), (0.45, 0.78), 0.88, (0.02, 0.52, 0.95),
)  # fmt: skip
OFF_ROADER = Shape(
    "Off-roader", 4.60, 1.88, 1.84, 2.76, 0.82, 0.40, 1.42, 1.82, 4.36, 4.52, 1.00, 1.16, (1.13, 1.15), 1.13, 0.36,
    (11.0, 19.0), (0.38, 0.68), 0.95, (0.02, 0.48, 0.92), tall=True, rugged=True, rails=True,
)  # fmt: skip
MORE_SHAPES = (*SHAPES, SINGLE_CAB, DOUBLE_CAB, MINIVAN, CITY_CAR, OFF_ROADER)

MORE_PAINTS = {
    **PAINTS,
    "Ivory": solid((0.74, 0.72, 0.64)),
    "Bright white": solid((0.88, 0.88, 0.88)),
    "Champagne": metallic((0.46, 0.41, 0.33), 0.5),
    "Light gray": metallic((0.42, 0.43, 0.44), 0.3),
    "Charcoal": metallic((0.035, 0.034, 0.038)),
    "Night blue": metallic((0.006, 0.010, 0.035), 0.3),
    "Black brown": metallic((0.022, 0.016, 0.014), 0.3),
    "Maroon": metallic((0.10, 0.008, 0.014)),
    "Yellow": solid((0.72, 0.46, 0.02)),
    "Sky": metallic((0.16, 0.32, 0.48), 0.4),
    "Lime": solid((0.30, 0.48, 0.06)),
}  # 23 paints and 12 shapes: each pair comes once in 276 cars
_SPREAD = 1.8


def set_design(seed: int, car: int, *, varied: bool) -> Design:
    """Design number ``car`` of a varied set, or of a set like the sample's."""
    return varied_design(seed, car) if varied else design_car(seed, car)


def varied_design(seed: int, car: int) -> Design:
    """Design number ``car`` of a varied set: more shapes and paints, another wall, and another place for every car."""
    design = design_car(seed, car, shapes=MORE_SHAPES, paints=MORE_PAINTS, spread=_SPREAD)
    rng = np.random.default_rng([seed, 4, car])
    wall = Wall(
        along=float(rng.uniform(-2.5, 2.5)),
        lift=float(rng.uniform(-0.15, 0.8)),
        ink=float(rng.uniform(55.0, 150.0)),
        light=float(rng.uniform(0.80, 1.0)),
    )
    return replace(
        design,
        wall=wall,
        mast=float(rng.choice([0.0, 0.15, 0.3, 0.55, 0.85])),
        yaw=float(rng.uniform(-0.4, 0.4)),  # so that eight views per car show cars from all sides
        off_center=(float(rng.uniform(-0.5, 0.5)), float(rng.uniform(-0.35, 0.35))),
        exposure=float(rng.uniform(0.85, 1.10)),
        warmth=float(rng.uniform(-0.04, 0.05)),
    )
