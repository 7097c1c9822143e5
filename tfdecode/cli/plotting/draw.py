"""One panel of a contact sheet, on matplotlib's axes: an image, points or lines."""

from __future__ import annotations

from typing import Any

import numpy as np

from .colours import GREY, INK, PALETTE, RULE, depths, index
from .panels import Drawing, Panel


def draw_image(axes: Any, panel: Panel, drawn: Drawing, colours: tuple[Any, Any]) -> None:
    """Pixels; a separate colour marks those that are not finite."""
    height, width = panel.size
    labels = drawn.labels
    data = np.ma.masked_invalid(panel.data) if labels is None else index(panel.data, labels)
    axes.imshow(
        data,
        cmap=colours[0],
        norm=colours[1],
        aspect="equal" if ratio_of(panel) == width / height else "auto",
        # Colours of labels must not be mixed; those of a scale may where pixels are smaller.
        interpolation="nearest" if labels is not None else "auto",
        interpolation_stage="rgba",
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )
    frame(axes)
    if len(drawn.panels) > 1:
        axes.set(xticks=[], yticks=[])
    else:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(whole_numbers())
        if height <= 12 and width <= 10:
            number_cells(axes, panel.data, colours)


def draw_colours(axes: Any, panel: Panel, drawn: Drawing, colours: tuple[Any, Any]) -> None:
    """Pixels of red, green and blue, and how opaque they are."""
    height, width = panel.size
    axes.imshow(
        panel.data,
        aspect="equal" if ratio_of(panel) == width / height else "auto",
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )
    frame(axes)
    if len(drawn.panels) > 1:
        axes.set(xticks=[], yticks=[])


def number_cells(axes: Any, data: np.ndarray, colours: tuple[Any, Any]) -> None:
    """The number in each cell of a small matrix."""
    for (row, column), value in np.ndenumerate(data):
        rgb = colours[0](colours[1](value))[:3]
        dark = np.isfinite(value) and float(np.dot(rgb, (0.3, 0.6, 0.1))) < 0.5
        style = {"ha": "center", "va": "center", "fontsize": 9}
        write(axes, column, row, f"{value:.5g}", color="white" if dark else INK, **style)


def draw_points(axes: Any, panel: Panel, drawn: Drawing, colours: tuple[Any, Any]) -> None:
    """Columns are x, y (downwards if none is negative) and colour; no file says what connects."""
    x, y = panel.data[:, 0], panel.data[:, 1]
    depth = panel.data[:, 2] if depths(drawn) else None
    size = min(42.0, max(1.5, 20_000 / len(x)))
    many = len(drawn.panels) > 8
    style = {"c": PALETTE[0]} if depth is None else {"c": depth, "plotnonfinite": True}
    axes.scatter(x, y, s=size / (2 if many else 1), cmap=colours[0], norm=colours[1], linewidths=0,
                 **style)  # fmt: skip
    if len(x) <= 40 and not many:
        for i in range(len(x)):
            if np.isfinite(x[i]) and np.isfinite(y[i]):
                axes.annotate(str(i), (x[i], y[i]), (4, 3), textcoords="offset points",
                              fontsize=7, color=GREY)  # fmt: skip
    pixels = bool((panel.data[:, :2] >= 0).all())
    axes.margins(0.08)
    axes.set_aspect("equal", adjustable="datalim")
    if pixels:
        axes.invert_yaxis()
    frame(axes)
    axes.grid(color=RULE, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    if not many:
        write_axes(axes, "column 0", "column 1, downwards" if pixels else "column 1")


def draw_lines(axes: Any, panel: Panel, drawn: Drawing, colours: tuple[Any, Any]) -> None:
    """Each column over its index."""
    count, columns = panel.size
    indices = np.linspace(0, count - 1, len(panel.data)) if count > 1 else np.zeros(1)
    indices = indices if panel.over is None else panel.over
    marker = "o" if count <= 60 else None
    for column in range(columns):
        axes.plot(
            indices,
            panel.data[:, column],
            color=PALETTE[column],
            linewidth=1.1 if count < 2000 else 0.6,
            marker=marker,
            markersize=3.5,
            label=str(column),
        )
    frame(axes)
    axes.grid(color=RULE, linewidth=0.5, alpha=0.6)
    axes.margins(x=0.02)
    if panel.over is None:
        axes.xaxis.set_major_locator(whole_numbers())
    if panel.over_name:
        write_axes(axes, panel.over_name, "")
    if columns > 1:
        axes.legend(fontsize=8, frameon=False, ncols=columns, loc="lower right",
                    bbox_to_anchor=(1, 1), borderaxespad=0.1)  # fmt: skip


def whole_numbers() -> Any:
    """Ticks at indices."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True, steps=[1, 2, 5, 10])


def write_axes(axes: Any, across: str, up: str) -> None:
    """What the axes mean."""
    axes.set_xlabel(across, fontsize=8, color=GREY, labelpad=1)
    axes.set_ylabel(up, fontsize=8, color=GREY, labelpad=1)


def frame(axes: Any) -> None:
    """A quiet frame and small numbers."""
    axes.tick_params(labelsize=8, color=RULE, labelcolor=GREY, length=3)
    for spine in axes.spines.values():
        spine.set(color=RULE, linewidth=0.8)


def write(on: Any, x: float, y: float, text: str, **style: Any) -> Any:
    """Text that is not parsed: a file name with dollars is not a formula."""
    return on.text(x, y, text, parse_math=False, color=style.pop("color", INK), **style)


def ratio_of(panel: Panel) -> float:
    """Width over height; of an image at most eight to one, so that its pixels are stretched."""
    if panel.kind in ("image", "colours"):
        return min(8.0, max(1 / 8, panel.size[1] / panel.size[0]))
    return 2.4 if panel.kind == "lines" else 1.25


DRAW = {"image": draw_image, "colours": draw_colours, "points": draw_points, "lines": draw_lines}
