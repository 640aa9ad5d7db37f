"""Units of measure: which words are the same unit."""

from __future__ import annotations

import re

_NAMES = {
    "m": "metre meter metres meters", "cm": "centimetre centimeter centimetres centimeters",
    "mm": "millimetre millimeter millimetres millimeters", "km": "kilometre kilometer kilometres kilometers kms",
    "in": "inch inches", "ft": "foot feet", "yd": "yard yards yds", "mi": "mile miles",
    "g": "gram grams gramme grammes", "kg": "kilogram kilograms kgs kilo kilos", "mg": "milligram milligrams",
    "t": "ton tons tonne tonnes", "lb": "lbs pound pounds", "oz": "ounce ounces",
    "s": "sec secs second seconds", "min": "mins minute minutes", "h": "hr hrs hour hours", "day": "days",
    "week": "weeks wk wks", "month": "months", "year": "years yr yrs",
    "l": "L litre liter litres liters", "ml": "mL millilitre milliliter millilitres milliliters",
    "gal": "gallon gallons",
    "mph": "", "kph": "kmh", "Hz": "hertz", "N": "newton newtons", "J": "joule joules", "W": "watt watts",
    "V": "volt volts", "A": "amp amps ampere amperes", "K": "kelvin", "Pa": "pascal pascals", "mol": "mole moles",
    "rad": "radian radians", "deg": "degree degrees", "cent": "cents", "dollar": "dollars usd bucks",
    "euro": "euros eur",
    "unit": "units", "square": "squares sq", "cubic": "cu", "kJ": "", "kW": "", "cc": "", "pt": "pts point points",
    "F": "fahrenheit", "C": "celsius", "pm": "", "am": "", "kWh": "", "GB": "", "MB": "", "KB": "", "TB": "",
    "dm": "",
}  # fmt: skip
_CANONICAL = {word: unit for unit, words in _NAMES.items() for word in (unit, *words.split())}
_LETTERS = re.compile(r"[A-Za-z]+")


def is_unit(word: str) -> bool:
    """Whether the word is a known unit's name or sign."""
    return word in _CANONICAL or (len(word) > 2 and word.lower() in _CANONICAL)


def canonical(word: str) -> str:
    """The unit's own sign; another word as it is, in lower case."""
    return _CANONICAL.get(word) or _CANONICAL.get(word.lower()) or word.lower()


def unit_of(text: str) -> str | None:
    """What a text of known units alone measures in (`km/h`, `square cm`, `cm^2`), in one form; None for other words."""
    words = [canonical(word) for word in _LETTERS.findall(text) if word != "per"]
    if not words or not all(is_unit(word) for word in words):
        return None
    powers = {"square": "2", "cubic": "3"}
    power = "".join(powers.get(word, "") for word in words) + "".join(re.findall(r"-?\d+", text))
    per = re.split(r"/|\bper\b", text, maxsplit=1)[1:]
    below = sorted(canonical(word) for word in _LETTERS.findall(per[0])) if per else []
    named = sorted(word for word in words if word not in powers and word not in below and word != "unit")
    return " ".join(named) + (f"^{power}" if power else "") + (f"/{' '.join(below)}" if below else "")
