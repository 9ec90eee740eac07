"""Units that numbers are measured in."""

from __future__ import annotations

import difflib

_UNITS: dict[str, dict[str, tuple[float, float]]] = {
    "mass": {
        "mg": (1e-6, 0), "g": (1e-3, 0), "kg": (1, 0), "t": (1000, 0), "oz": (0.028349523125, 0), "lb": (0.45359237, 0),
        "st": (6.35029318, 0),
    },
    "length": {
        "mm": (1e-3, 0), "cm": (1e-2, 0), "m": (1, 0), "km": (1000, 0), "in": (0.0254, 0), "ft": (0.3048, 0),
        "yd": (0.9144, 0), "mi": (1609.344, 0), "nmi": (1852, 0),
    },
    "temperature": {"c": (1, 273.15), "f": (5 / 9, 459.67 * 5 / 9), "k": (1, 0)},
    "time": {"ms": (1e-3, 0), "s": (1, 0), "min": (60, 0), "h": (3600, 0), "d": (86400, 0), "wk": (604800, 0)},
    "volume": {
        "ml": (1e-6, 0), "cl": (1e-5, 0), "l": (1e-3, 0), "m3": (1, 0), "gal": (0.003785411784, 0),
        "pt": (0.000473176473, 0), "floz": (2.95735295625e-5, 0),
    },
    "area": {
        "m2": (1, 0), "cm2": (1e-4, 0), "km2": (1e6, 0), "ha": (1e4, 0), "acre": (4046.8564224, 0),
        "ft2": (0.09290304, 0),
    },
    "speed": {"m/s": (1, 0), "km/h": (1 / 3.6, 0), "mph": (0.44704, 0), "kn": (1852 / 3600, 0)},
    "energy": {"j": (1, 0), "kj": (1000, 0), "wh": (3600, 0), "kwh": (3.6e6, 0), "cal": (4.184, 0), "kcal": (4184, 0)},
    "data": {
        "b": (1, 0), "kb": (1e3, 0), "mb": (1e6, 0), "gb": (1e9, 0), "tb": (1e12, 0), "kib": (1024, 0),
        "mib": (1 << 20, 0), "gib": (1 << 30, 0), "tib": (1 << 40, 0),
    },
}  # fmt: skip
"""Quantity -> unit -> (factor, offset) to the unit of the SI; a US gallon, pint and fluid ounce."""

_ALIASES = {
    "kgs": "kg", "kilogram": "kg", "kilograms": "kg", "gram": "g", "grams": "g", "lbs": "lb", "pound": "lb",
    "pounds": "lb", "ounce": "oz", "ounces": "oz", "tonne": "t", "tonnes": "t", "metre": "m", "metres": "m",
    "meter": "m", "meters": "m", "kms": "km", "mile": "mi", "miles": "mi", "feet": "ft", "foot": "ft", "inch": "in",
    "inches": "in", '"': "in", "'": "ft", "\u00b0c": "c", "\u00b0f": "f", "celsius": "c", "fahrenheit": "f",
    "kelvin": "k",
    "sec": "s", "secs": "s", "second": "s", "seconds": "s", "mins": "min", "minute": "min", "minutes": "min",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "week": "wk", "weeks": "wk",
    "litre": "l", "litres": "l", "liter": "l", "liters": "l", "kmh": "km/h", "kph": "km/h", "mi/h": "mph",
    "m\u00b2": "m2", "m\u00b3": "m3", "sqm": "m2", "acres": "acre",
}  # fmt: skip


def known_units() -> dict[str, str]:
    """Every word for a unit, in lower case -> the unit."""
    own = {unit: unit for units in _UNITS.values() for unit in units}
    return {**own, **_ALIASES}


def units_of(quantity: str) -> tuple[str, ...]:
    """The units of a quantity."""
    return tuple(_UNITS[quantity])


def find_unit(word: str) -> tuple[str, str]:
    """(quantity, unit) that a word stands for; ValueError with the nearest one if there is none.

    Examples
    --------
    >>> find_unit("lbs"), find_unit("°F")
    (('mass', 'lb'), ('temperature', 'f'))
    """
    known = known_units()
    unit = known.get(word.strip().lower())
    if unit is None:
        close = difflib.get_close_matches(word.lower(), known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no unit {word!r}; there are: {', '.join(known)}.{hint}")
    return next(quantity for quantity, units in _UNITS.items() if unit in units), unit


def conversion(source: str, to: str) -> tuple[float, float]:
    """(factor, offset) with to = source * factor + offset; ValueError if they measure different things.

    Examples
    --------
    >>> conversion("kg", "g"), conversion("m", "m")
    ((1000.0, 0.0), (1.0, 0.0))
    """
    (quantity, a), (other, b) = find_unit(source), find_unit(to)
    if quantity != other:
        raise ValueError(f"{source!r} is a {quantity} and {to!r} a {other}")
    (factor_a, offset_a), (factor_b, offset_b) = _UNITS[quantity][a], _UNITS[quantity][b]
    return factor_a / factor_b, (offset_a - offset_b) / factor_b
