"""The picture in ``RESULTS.md``, and the one of a request in ``README.md``.

``python -m benchmarks.plots`` draws that of a request anew from the figures in ``RESULTS.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from . import report
from .chains import REQUEST

#: What is drawn, and in which colour: the peers in greys and blues, tfdecode stands out.
SERIES = {
    "JSON": "#b8bcc4",
    "TFDS zlib": "#7f9cc0",
    "Blosc zstd 9": "#3d5a80",
    "tfdecode": "#e8743b",
}
THICK = 0.2
#: The requests in the picture of README: as the table has them, and as the picture calls them.
REQUESTS = {
    "JSON lists": "JSON lists (json)",
    "JSON lists, orjson": "JSON lists (orjson)",
    "TensorProto": "TensorProto (gRPC)",
    REQUEST[0]: f"tfdecode\n{REQUEST[0]}",
}
REQUEST_PICTURE = Path(__file__).parents[1] / "docs" / "request.png"


def plot_sizes(sizes: Mapping[str, Mapping[str, int]], path: Path) -> None:
    """Bytes by input and packer, as bars on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.6 * len(sizes) + 1.2), layout="constrained")
    for row, (label, colour) in enumerate(SERIES.items()):
        has = [i for i, by_packer in enumerate(sizes.values()) if label in by_packer]
        values = [by_packer[label] for by_packer in sizes.values() if label in by_packer]
        places = [i + (row - 1.5) * THICK for i in has]
        bars = axes.barh(places, values, THICK * 0.92, label=label, color=colour)
        if label == "tfdecode":
            axes.bar_label(bars, [short(value) for value in values], padding=3, fontsize=7.5)
    axes.set_yticks(range(len(sizes)), list(sizes), fontsize=9)
    axes.set_ylim(len(sizes) - 0.45, -0.55)
    axes.set_xscale("log")
    axes.set_xlim(100, 3 * max(max(by_packer.values()) for by_packer in sizes.values()))
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    axes.set_xlabel("bytes of one array (logarithmic)")
    axes.grid(axis="x", color="#e4e6ea")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4,
                  frameon=False)  # fmt: skip
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def short(nbytes: float) -> str:
    """Bytes in three digits or so: 854, 36.5 kB, 1.02 MB.

    >>> short(36545), short(854), short(1016400)
    ('36.5 kB', '854', '1.02 MB')
    """
    for unit, name in ((1e6, " MB"), (1e3, " kB")):
        if nbytes >= unit:
            return f"{nbytes / unit:.3g}{name}"
    return f"{nbytes:.0f}"


def request_figures(results: str) -> dict[str, tuple[int, float]]:
    """Bytes and milliseconds of each of `REQUESTS`, from the text of ``RESULTS.md``."""
    section = results.split("\n## request\n")[1].split("\n## ")[0]
    rows = [line.replace("\\|", "/").strip("| ").split(" | ") for line in section.splitlines()]
    cells = {row[0].replace("/", "|"): row for row in rows if len(row) > 4}
    return {
        name: (int(cells[name][1].replace(",", "")), float(cells[name][4]))
        for name in REQUESTS
        if name in cells
    }


def request_caption(figures: Mapping[str, tuple[int, float]]) -> str:
    """The figures of the picture in words.

    >>> request_caption({"JSON lists": (21624192, 1348.7), REQUEST[0]: (9156, 18.7)})
    '21.6 MB and 1,349 ms as JSON lists, 9.16 kB and 18.7 ms with tfdecode'
    """
    (lists, before), (packed, after) = figures["JSON lists"], figures[REQUEST[0]]
    first = f"{short(lists)} and {milliseconds(before)} as JSON lists"
    return f"{first}, {short(packed)} and {milliseconds(after)} with tfdecode"


def milliseconds(number: float) -> str:
    """Three digits or so."""
    return f"{number:,.0f} ms" if number >= 100 else f"{number:.3g} ms"


def plot_request(results: str, path: Path = REQUEST_PICTURE) -> None:
    """Bytes and time of one request, as bars; the caption goes into the file's metadata."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figures = request_figures(results)
    labels = [REQUESTS[name] for name in figures]
    colours = ["#e8743b" if name == REQUEST[0] else "#b8bcc4" for name in figures]
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 2.5), sharey=True, layout="constrained")
    for axes, column, title, text in zip(
        panels, (0, 1), ("bytes of the request", "from arrays to the answer"),
        (short, milliseconds), strict=True,
    ):  # fmt: skip
        values = [both[column] for both in figures.values()]
        bars = axes.barh(range(len(values)), values, 0.66, color=colours)
        axes.bar_label(bars, [text(value) for value in values], padding=4, fontsize=10)
        axes.set_xlim(0, 1.22 * max(values))
        axes.set_title(title, loc="left", fontsize=10.5)
        axes.set_yticks(range(len(values)), labels, fontsize=10)
        axes.invert_yaxis() if column == 0 else None
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.spines["left"].set_color("#b8bcc4")
        axes.tick_params(length=0)
    description = {"Software": None, "Description": request_caption(figures)}
    figure.savefig(path, dpi=110, metadata=description)
    pyplot.close(figure)


if __name__ == "__main__":
    plot_request(report.RESULTS.read_text())
