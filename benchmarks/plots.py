"""The picture in ``RESULTS.md``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: What is drawn, and in which colour: the peers in greys and blues, tfdecode stands out.
SERIES = {
    "JSON": "#b8bcc4",
    "TFDS zlib": "#7f9cc0",
    "Blosc zstd 9": "#3d5a80",
    "tfdecode": "#e8743b",
}
THICK = 0.2


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
