"""Places for the names of points in a plot, so that no name covers another."""

from collections.abc import Sequence
from typing import NamedTuple

_LETTER, _LINE, _GAP, _DOT = 5.6, 12.0, 9.0, 5.0
"""In pixels: width of a letter, height of a line, gap from point to name, radius of a point."""


class Scale(NamedTuple):
    """An axis of a plot: maps values to pixels from its left or lower end, and back."""

    low: float
    high: float
    pixels: float

    @classmethod
    def around(cls, values: Sequence[float], pixels: float, before: float, after: float) -> "Scale":
        """The scale that holds all values and leaves some pixels free before and after them.

        >>> Scale.around([1.0, 3.0], 400, 100, 100)
        Scale(low=0.0, high=4.0, pixels=400)
        """
        least, most = min(values), max(values)
        if most - least < 1e-9:
            least, most = least - 0.5, most + 0.5
        unit = (most - least) / (pixels - before - after)
        return cls(least - before * unit, most + after * unit, pixels)

    def pixel(self, value: float) -> float:
        """The pixel of a value."""
        return (value - self.low) / (self.high - self.low) * self.pixels

    def value(self, pixel: float) -> float:
        """The value at a pixel."""
        return self.low + pixel / self.pixels * (self.high - self.low)


class Place(NamedTuple):
    """The left end of a name, at its middle height, in pixels."""

    x: float
    y: float


def width_of(name: str) -> float:
    """The width of a name in pixels, with the gap between the name and its point.

    >>> width_of("cap") < width_of("calibrated")
    True
    """
    return _GAP + _LETTER * len(name)


def placed(
    points: Sequence[tuple[float, float]], names: Sequence[str], height: float
) -> list[Place]:
    """A place for each name: right of its point, moved up or down as far as it must be.

    Args:
        points: x and y of each point, in pixels.
        names: the name of each point.
        height: height of the plot in pixels; names stay inside.

    >>> [place.y for place in placed([(10, 50), (10, 50), (200, 50)], ["a", "b", "c"], 100)]
    [50.0, 62.0, 50.0]
    """
    taken = [(x - _DOT, x + _DOT, y - _DOT, y + _DOT) for x, y in points]
    chosen: dict[int, Place] = {}
    for number in sorted(range(len(points)), key=lambda n: (points[n][1], points[n][0])):
        (x, y), name = points[number], names[number]
        steps = [sign * step for step in range(2 * len(points) + 2) for sign in (1, -1)]
        options = [Place(x + _GAP, y + _LINE * step) for step in steps]
        inside = [o for o in options if _LINE / 2 <= o.y <= height - _LINE / 2] or options[:1]
        free = (o for o in inside if not any(_meet(_box(o, name), other) for other in taken))
        chosen[number] = next(free, inside[0])
        taken.append(_box(chosen[number], name))
    return [Place(float(chosen[n].x), float(chosen[n].y)) for n in range(len(points))]


_Box = tuple[float, float, float, float]


def _box(place: Place, name: str) -> _Box:
    right = place.x + _LETTER * len(name)
    return place.x, right, place.y - _LINE / 2 + 0.5, place.y + _LINE / 2 - 0.5


def _meet(a: _Box, b: _Box) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]
