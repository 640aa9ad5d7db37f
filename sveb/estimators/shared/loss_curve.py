"""The losses of a training as a picture: an SVG file that any browser opens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_WIDTH, _HEIGHT, _LEFT, _TOP, _FLOOR = 360, 240, 60, 30, 200
_MOST_POINTS = 60

_Points = npt.NDArray[np.floating]


def loss_curve(losses: Sequence[float], held_out: Sequence[float]) -> str:
    """Training loss over the epochs (means of a few steps each), next to the held-out squared error after each epoch.

    The epoch that is kept, with the smallest held-out error, is marked.
    """
    bins = np.array_split(np.asarray(losses, dtype=np.float64), min(_MOST_POINTS, len(losses)))
    smooth = np.array([each.mean() for each in bins])
    ends = np.cumsum([len(each) for each in bins]) * len(held_out) / len(losses)
    after = np.arange(1.0, len(held_out) + 1)
    errors = np.asarray(held_out, dtype=np.float64)
    best = int(np.argmin(errors))
    left, right = _panel("training loss", ends, smooth), _panel("held-out squared error", after, errors)
    x, y = _places(after, errors)
    dots = "".join(
        f'<circle cx="{x[i]:.1f}" cy="{y[i]:.1f}" r="{5 if i == best else 3}" '
        f'fill="{"#b3261e" if i == best else "#1f5fa8"}"/>'
        for i in range(len(errors))
    )
    said = f'<text x="{x[best]:.1f}" y="{y[best] - 10:.1f}" text-anchor="middle" fill="#b3261e">kept</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * _WIDTH} {_HEIGHT}" width="{2 * _WIDTH}" '
        f'font-family="sans-serif" font-size="12" role="img" aria-label="training loss and held-out squared error">'
        f'<rect width="100%" height="100%" fill="#fff"/>{left}'
        f'<g transform="translate({_WIDTH})">{right}{dots}{said}</g></svg>'
    )


def _panel(title: str, x: _Points, y: _Points) -> str:
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(*_places(x, y), strict=True))
    low, high = float(y.min()), float(y.max())
    axis = _WIDTH - 20
    return (
        f'<text x="{_LEFT}" y="18" font-weight="bold">{title}</text>'
        f'<path d="M{_LEFT} {_TOP}V{_FLOOR}H{axis}" fill="none" stroke="#777"/>'
        f'<text x="{_LEFT - 6}" y="{_TOP + 4}" text-anchor="end">{high:.4f}</text>'
        f'<text x="{_LEFT - 6}" y="{_FLOOR + 4}" text-anchor="end">{low:.4f}</text>'
        f'<text x="{_LEFT}" y="{_FLOOR + 18}">0</text>'
        f'<text x="{axis}" y="{_FLOOR + 18}" text-anchor="end">epoch {round(float(x[-1]))}</text>'
        f'<polyline points="{line}" fill="none" stroke="#1f5fa8" stroke-width="1.5"/>'
    )


def _places(x: _Points, y: _Points) -> tuple[_Points, _Points]:
    """Positions of points in a panel: x from 0, y over its own range."""
    span = max(float(y.max() - y.min()), 1e-12)
    across = _LEFT + x / x[-1] * (_WIDTH - 20 - _LEFT)
    return across, _FLOOR - (y - y.min()) / span * (_FLOOR - _TOP)
