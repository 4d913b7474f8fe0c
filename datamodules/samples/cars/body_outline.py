"""Outline and heights of the lower body."""

import numpy as np

from datamodules.samples.cars.curves import Array, monotone_cubic, smoothstep, superellipse
from datamodules.samples.cars.design import Shape

_STEP = 0.075  # meters between vertices of the outline
ARCH_GAP = 0.058  # gap between tyre and wheel arch


def front_of(shape: Shape) -> float:
    """X of the front end."""
    return shape.length / 2


def axles(shape: Shape) -> tuple[float, float]:
    """X of the front and the rear axle."""
    front = front_of(shape) - shape.overhang
    return front, front - shape.wheelbase


def bed_of(shape: Shape) -> tuple[float, float]:
    """X of the front and the rear end of the bed of a pickup."""
    return front_of(shape) - shape.rear - 0.06, -shape.length / 2 + 0.17


def _outline_points(shape: Shape) -> tuple[Array, Array]:
    angle = np.pi * smoothstep(0.0, 1.0, np.linspace(0.0, 1.0, 6000))
    line = superellipse(angle, front_of(shape), -front_of(shape), shape.width / 2, shape.square)
    return line, np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])


def outline_nodes(shape: Shape) -> Array:
    """Vertices along the outline, finer at the wheel arches, whose ends must be exact."""
    line, along = _outline_points(shape)
    radius = shape.wheel + ARCH_GAP
    half_circle = np.cos(np.linspace(0.0, np.pi, 25)) * (radius - 1e-4)
    wanted = np.concatenate([axle + np.append(half_circle, [radius + 1e-4, -radius - 1e-4]) for axle in axles(shape)])
    if shape.bed:
        wanted = np.append(wanted, [end + by for end in bed_of(shape) for by in (-0.012, 0.0, 0.012)])
    at_arches = np.interp(-wanted, -line[:, 0], along)
    even = np.linspace(0.0, along[-1], round(along[-1] / _STEP))
    kept = even[np.min(np.abs(even[:, None] - at_arches[None, :]), axis=1) > 0.02]
    return np.asarray(np.unique(np.concatenate([kept, at_arches])))


def outline_at(shape: Shape, u: Array) -> tuple[Array, Array, Array]:
    """X, y and outward normal (U, 2) of the widest outline at ``u`` meters along it."""
    line, along = _outline_points(shape)
    x, y = np.interp(u, along, line[:, 0]), np.interp(u, along, line[:, 1])
    tangent = np.gradient(line, along, axis=0)
    normal = np.stack([np.interp(u, along, -tangent[:, 1]), np.interp(u, along, tangent[:, 0])], axis=-1)
    normal = -normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return x, y, normal


def shoulder_height(shape: Shape, x: Array) -> Array:
    """Height of the shoulder at ``x``."""
    s = front_of(shape) - x
    low, high = shape.belt
    deck = high if shape.upright and not shape.bed else shape.tail + 0.015
    return monotone_cubic(
        (
            (0.0, shape.nose),
            (0.10, shape.nose + 0.025),
            (0.45, shape.nose + 0.50 * (shape.bonnet - 0.06 - shape.nose) + 0.02),
            (shape.cowl, low),
            (shape.cowl + 0.3, low + 0.003),
            (min(shape.rear, shape.length - 0.3), deck if shape.bed else high),
            (shape.length - 0.16, deck),
            (shape.length, shape.tail - 0.03),
        ),
        s,
    )


def top_height(shape: Shape, x: Array, q: Array) -> Array:
    """Height of the top at fraction ``q`` of the way from the shoulder to the center."""
    s = front_of(shape) - x
    crown = monotone_cubic(
        (
            (0.0, 0.0),
            (0.12, 0.03),
            (0.5, 0.065),
            (shape.cowl, 0.075),
            (shape.cowl + 0.8, 0.04),
            (shape.length - 0.2, 0.03),
            (shape.length, 0.0),
        ),
        s,
    )
    if shape.bed:
        crown = crown * smoothstep(shape.rear + 0.1, shape.rear - 0.1, s)
    return shoulder_height(shape, x) + crown * (1.0 - (1.0 - q) ** 4)


def bed_depth(shape: Shape, x: Array, y: Array, edge_y: Array) -> Array:
    """Depth of a pickup's bed below the top; 0 outside the bed."""
    front, rear = bed_of(shape)
    inside = smoothstep(0.0, 0.012, front - x) * smoothstep(0.0, 0.012, x - rear)
    return (shape.tail - 0.62) * inside * (edge_y - y > 0.095 * edge_y) * 1.0


def lower_edge(shape: Shape, x: Array, y: Array) -> Array:
    """Height of the body's lower edge, with the wheel arches."""
    ends = 0.05 * (smoothstep(0.75, 0.0, front_of(shape) - x) + 1.6 * smoothstep(0.75, 0.0, front_of(shape) + x))
    low = shape.sill + ends
    radius = shape.wheel + ARCH_GAP
    for axle in axles(shape):
        inside = (np.abs(x - axle) < radius) & (y > 0.3 * shape.width)
        arch = shape.wheel + np.sqrt(np.maximum(radius**2 - (x - axle) ** 2, 0.0))
        low = np.where(inside, np.maximum(low, arch), low)
    return np.asarray(low)


def wing_flare(shape: Shape, x: Array, z: Array) -> Array:
    """Bulge of the wings around the wheel arches."""
    out = np.zeros(np.broadcast(x, z).shape)
    for axle in axles(shape):
        away = np.hypot(x - axle, z - shape.wheel) - shape.wheel - ARCH_GAP
        out += 0.020 * np.exp(-((away / 0.10) ** 2)) * smoothstep(shape.wheel - 0.15, shape.wheel + 0.15, z)
    return out
