"""What colours mean in a picture of an array: a scale, or a colour for each label."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .panels import Drawing

INK, GREY, RULE = "#1d2433", "#5b6475", "#c9ced8"
#: Values that are not finite: in no scale and no palette here.
ODD = "#ff1493"
#: The most frequent label, and the colours of the others.
GROUND = "#e6e9ef"
#: Pixels of the largest patch of a label in the colour bar.
PATCH = 30
PALETTE = [
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#bcbd22", "#17becf"),
    *("#393b79", "#637939", "#8c6d31", "#843c39", "#7b4173", "#3182bd", "#e6550d", "#31a354"),
    *("#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5", "#c49c94", "#dbdb8d", "#9edae5"),
    *("#6b6ecf", "#b5cf6b", "#e7ba52", "#ad494a", "#a55194", "#6baed6", "#fdae6b", "#74c476"),
    *("#000000", "#004d40", "#827717", "#4e342e", "#311b92", "#b71c1c", "#33691e"),
]


def has_bar(drawn: Drawing) -> bool:
    """Whether colours are values."""
    return (drawn.panels[0].kind == "image" and drawn.finite) or depths(drawn) is not None


def depths(drawn: Drawing) -> tuple[float, float] | None:
    """The range of column 2 of points, which gives their colours; None if it is constant."""
    panels = [panel for panel in drawn.panels if panel.kind == "points"]
    depth = np.concatenate([np.empty(0), *(panel.data[:, 2:3].ravel() for panel in panels)])
    depth = depth[np.isfinite(depth)]
    return (depth.min(), depth.max()) if depth.size and depth.min() < depth.max() else None


def colours_of(drawn: Drawing) -> tuple[Any, Any]:
    """The colour map and the norm that all panels share."""
    import matplotlib
    from matplotlib.colors import ListedColormap, Normalize

    if drawn.labels is None:
        low, high = depths(drawn) or (drawn.low, drawn.high)
        if low == high:
            low, high = low - 0.5, high + 0.5
        return matplotlib.colormaps["viridis"].with_extremes(bad=ODD), Normalize(low, high)
    indices = [index(panel.data, drawn.labels) for panel in drawn.panels]
    counts = sum(np.bincount(i.compressed(), minlength=len(drawn.labels)) for i in indices)
    colours = [PALETTE[i % len(PALETTE)] for i in range(len(drawn.labels))]
    colours.insert(int(np.argmax(counts)), GROUND)
    colours = colours[: len(drawn.labels)]
    return ListedColormap(colours).with_extremes(bad=ODD), Normalize(-0.5, len(colours) - 0.5)


def index(data: np.ndarray, labels: np.ndarray) -> Any:
    """The index of each pixel's label; pixels that are not finite are masked."""
    finite = np.isfinite(data)
    indices = np.searchsorted(labels, np.where(finite, data, labels[0]))
    return np.ma.masked_array(indices, ~finite)


def colour_bar(figure: Any, drawn: Drawing, colours: tuple[Any, Any]) -> None:
    """The values of the colours, to the right of all panels."""
    from matplotlib.cm import ScalarMappable

    height = whole = figure.bbox.height
    if drawn.labels is not None:
        height = min(whole, PATCH * len(drawn.labels))
    scale = ScalarMappable(cmap=colours[0], norm=colours[1])
    size = {"shrink": height / whole, "aspect": height / 20, "anchor": (0, 1), "pad": 0.02}
    bar = figure.colorbar(scale, ax=list(figure.axes), **size)
    bar.outline.set_edgecolor(RULE)
    axes = bar.ax
    axes.tick_params(labelsize=9, color=RULE, labelcolor=INK)
    if drawn.labels is not None:
        step = max(1, math.ceil(len(drawn.labels) * 13 / height))
        shown = range(0, len(drawn.labels), step)
        bar.set_ticks(list(shown), labels=[f"{drawn.labels[i]:.6g}" for i in shown])
        axes.tick_params(length=0)
    elif drawn.panels[0].kind == "points":
        axes.set_title("column 2", fontsize=8.5, color=GREY, loc="left", pad=5)
