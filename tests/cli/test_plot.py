"""inspect --plot: what is drawn of an array, and that every array gives a picture or a reason."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.cli import main
from tfdecode.cli.plotting.panels import LINE_POINTS, PANELS, PIXELS, POINTS, drawing

pytest.importorskip("matplotlib")

from matplotlib.image import imread

from tfdecode.cli.plotting.colours import GROUND, ODD, PALETTE
from tfdecode.cli.plotting.sheet import Sheet, sheet

Y, X = np.mgrid[:40, :30]
SMOOTH = np.hypot(X - 10, Y - 20)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A working directory with a file to draw."""
    monkeypatch.chdir(tmp_path)
    np.save("map.npy", SMOOTH)
    return tmp_path


def plot(*arguments: str, status: int = 0) -> None:
    assert main(["inspect", *arguments]) == status


def pixels(drawn: Sheet) -> np.ndarray:
    """The picture, uint8 [height, width, 3]."""
    file = io.BytesIO()
    drawn.save(file)
    return np.round(imread(io.BytesIO(file.getvalue()), "png")[..., :3] * 255).astype(np.uint8)


def area(picture: np.ndarray, colour: str) -> int:
    """How many pixels have exactly this colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((picture == wanted).all(-1).sum())


def texts(drawn: Sheet) -> list[str]:
    return [text.get_text() for text in drawn.figure.texts]


# -- which panels ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "panels"),
    [
        ((40, 30), ["image"]),
        ((40, 30, 5), ["image"] * 5),
        ((40, 30, 2, 3), ["image"] * 6),
        ((1, 1, 40, 30), ["image"]),
        ((40, 30, 1), ["image"]),
        ((40, 1, 1), ["image"]),
        ((40, 30, PANELS), ["image"] * PANELS),
        ((40, 30, PANELS + 1), ["image"] * PANELS),
        ((5, 40, 30), ["image"] * 5),
        ((2, 40, 30, 3), ["image"] * 6),
        ((7, 7, 512), ["image"] * PANELS),
        ((3, 3), ["image"]),
        ((3, 1), ["image"]),
        ((30,), ["lines"]),
        ((1, 30), ["lines"]),
        ((), ["lines"]),
        ((500, 6), ["lines"]),
        ((2, 5000), ["lines"]),
        ((17, 3), ["points", "lines"]),
        ((17, 2), ["points", "lines"]),
        ((1000, 4), ["points", "lines"]),
        ((4, 17, 3), ["points"] * 4),
        ((1, 17, 3), ["points", "lines"]),
        ((32, 32, 3), ["image"] * 3),
        ((16, 32, 32), ["image"] * 16),
        ((2, 3, 40, 30), ["image"] * 6),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_shape_chooses_the_panels(shape: tuple[int, ...], panels: list[str]) -> None:
    array = np.random.default_rng(0).normal(size=shape)
    drawn = drawing(array)
    assert [panel.kind for panel in drawn.panels] == panels
    if len(panels) < 8 or shape == (7, 7, 512):  # 64 panels take a second
        assert sheet(array, "x").panels == len(panels)


def test_panels_are_the_channels_in_order() -> None:
    array = np.random.default_rng(0).normal(size=(40, 30, 2, 3))
    panels = drawing(array).panels
    assert [panel.name for panel in panels] == ["0,0", "0,1", "0,2", "1,0", "1,1", "1,2"]
    assert np.array_equal(panels[4].data, array[:, :, 1, 1])
    assert np.array_equal(drawing(array.transpose(2, 3, 0, 1)).panels[4].data, array[:, :, 1, 1])


def test_channels_that_are_left_out_are_told() -> None:
    assert drawing(np.zeros((40, 30, 100))).notes[-1] == "the first 64 of 100 channels"


@pytest.mark.parametrize("shape", [(5000, 4000), (3000, 2000, 20), (100, 60000)])
def test_large_images_are_thinned(shape: tuple[int, ...]) -> None:
    drawn = drawing(np.broadcast_to(np.float32(1), shape))
    assert sum(panel.data.size for panel in drawn.panels) < 1.5 * PIXELS**2
    assert "is drawn" in drawn.notes[-1] and drawn.panels[0].size == shape[:2]


def test_long_lines_keep_their_extremes() -> None:
    array = np.zeros(10**6)
    array[123_457] = 9
    [panel] = drawing(array).panels
    assert len(panel.data) <= LINE_POINTS and panel.data.max() == 9


def test_many_points_are_thinned() -> None:
    drawn = drawing(np.random.default_rng(0).normal(size=(10**5, 3)))
    assert len(drawn.panels[0].data) == POINTS and drawn.notes == ["every point in 5 is drawn"]


@pytest.mark.parametrize(
    ("shape", "note"),
    [
        ((24, 32, 32), "rows are axis 1, columns axis 2, a panel for each index of axis 0; --axis"),
        ((50, 8, 8), "rows are axis 1, columns axis 2, a panel for each index of axis 0; --axis"),
        ((16, 32, 32), "rows are axis 1, columns axis 2, a panel for each index of axis 0; --axis"),
        ((32, 32, 16), "rows are axis 0, columns axis 1, a panel for each index of axis 2; --axis"),
        ((1, 9, 40, 30), "rows are axis 2, columns axis 3, a panel for each index of axis 1; --ax"),
        ((2, 40, 30, 5), "rows are axis 1, columns axis 2, a panel for each index of axis 0 and 3"),
    ],
)
def test_the_axes_that_are_drawn_are_told(shape: tuple[int, ...], note: str) -> None:
    assert drawing(np.random.default_rng(0).normal(size=shape)).notes[0].startswith(note)


def test_the_axes_can_be_chosen(capsys) -> None:
    array = np.random.default_rng(0).normal(size=(16, 32, 20))
    for axes in ((1, 2), (0,)):
        panels = drawing(array, axes).panels
        assert len(panels) == 16 and np.array_equal(panels[3].data, array[3])
    panels = drawing(array, (2, 0)).panels
    assert len(panels) == 32 and np.array_equal(panels[5].data, array[:, 5].T)
    np.save("x.npy", array[:, :3])
    plot("x.npy", "--plot", "x.png", "--axis", "1")
    assert "3 panels; rows are axis 0, columns axis 2" in capsys.readouterr().out
    for axis, status, reason in [
        ("3", 1, "array has 3 axes, counted from 0, so there is no axis 3"),
        ("1,1", 2, "'1,1' is not one axis or two, as 0 or 1,2"),
        ("x", 2, "'x' is not one axis or two"),
    ]:
        plot("x.npy", "--plot", "x.png", "--axis", axis, status=status)
        assert reason in capsys.readouterr().err
    plot("map.npy", "--plot", "x.png", "--axis", "1", status=1)
    assert "one axis of panels leaves two of an array of three only" in capsys.readouterr().err
    plot("map.npy", "--axis", "1", status=2)
    assert "argument --axis: needs --plot" in capsys.readouterr().err


# -- tables ---------------------------------------------------------------------------------------

TABLE = np.c_[np.arange(30) * 0.5, SMOOTH[:30, 0], SMOOTH[:30, 1] * 1e6, np.arange(30) % 2]


def test_a_table_is_a_panel_for_each_column_over_a_first_one_that_increases() -> None:
    drawn = drawing(TABLE, table=["t", "x"])
    assert [panel.name for panel in drawn.panels] == ["x", "column 2", "column 3"]
    assert {panel.kind for panel in drawn.panels} == {"lines"}
    assert all(np.array_equal(panel.over, TABLE[:, 0]) for panel in drawn.panels)
    drawn = drawing(TABLE[:, 1:], table=[])
    assert [panel.name for panel in drawn.panels] == ["column 0", "column 1", "column 2"]
    assert drawn.panels[0].over is None


def test_a_large_table_is_an_image_and_a_long_one_is_thinned() -> None:
    assert drawing(SMOOTH, table=[]).panels[0].kind == "image"
    long = np.c_[np.arange(10**5), np.arange(10**5) % 7]
    [panel] = drawing(long, table=[]).panels
    assert len(panel.data) == len(panel.over) <= LINE_POINTS
    pixels(sheet(long, "x", table=[]))


def test_a_csv_is_drawn_with_the_names_of_its_columns(capsys) -> None:
    lines = [",".join(map(repr, row)) for row in TABLE.tolist()]
    Path("t.csv").write_text("\n".join(["t,price,volume,flag", *lines]))
    plot("t.csv", "--plot", "t.png")
    assert "3 panels; a panel for each column, over t" in capsys.readouterr().out


# -- pictures in colour ---------------------------------------------------------------------------

RGB = np.stack([X * 8, Y * 6, X + Y], -1).astype("uint8")


@pytest.mark.parametrize(
    ("array", "kinds"),
    [
        (RGB, ["colours"]),
        (np.moveaxis(RGB, 2, 0), ["colours"]),
        ((RGB / 255).astype("float32"), ["colours"]),
        ((RGB / 255).astype("float16"), ["colours"]),
        (np.concatenate([RGB, RGB[..., :1]], -1), ["colours"]),
        (np.stack([RGB, 255 - RGB]), ["colours"] * 2),
        (np.moveaxis(np.stack([RGB, 255 - RGB]), 3, 1), ["colours"] * 2),
        (RGB.astype("int16"), ["image"] * 3),
        (RGB // 128, ["image"] * 3),
        (RGB / 255 * 2 - 1, ["image"] * 3),
        (np.eye(3)[X // 10], ["image"] * 3),
        (np.where(X[..., None] < 3, np.nan, RGB / 255), ["image"] * 3),
    ],
    ids=lambda value: str(getattr(value, "dtype", ""))[:9],
)
def test_three_or_four_channels_of_pixels_are_one_picture(
    array: np.ndarray, kinds: list[str]
) -> None:
    assert [panel.kind for panel in drawing(array).panels] == kinds


def test_colours_are_drawn_as_they_are() -> None:
    red = np.zeros((40, 40, 3), "uint8")
    red[..., 0] = 200
    picture = pixels(sheet(red, "x"))
    assert area(picture, "#c80000") > picture.shape[0] * picture.shape[1] / 3
    transparent = np.concatenate([red, np.zeros((40, 40, 1), "uint8")], -1)
    assert area(pixels(sheet(transparent, "x")), "#c80000") > 10_000
    assert len(drawing(red, (0, 1)).panels) == 3  # asked for axes, not for a picture


# -- what colours mean ----------------------------------------------------------------------------


def test_few_whole_numbers_are_labels_whatever_their_dtype() -> None:
    labels = (X // 10).astype("float64")
    drawn = drawing(labels)
    assert drawn.labels is not None and drawn.labels.tolist() == [0, 1, 2]
    assert drawing(labels + 0.5).labels is None and drawing(SMOOTH).labels is None


def test_the_most_frequent_label_is_the_ground() -> None:
    labels = np.zeros((40, 30))
    labels[:10, :10] = 7
    picture = pixels(sheet(labels, "x"))
    ground, other = area(picture, GROUND), area(picture, PALETTE[0])
    assert 9 < ground / other < 12  # 1100 to 100 pixels, and the colour bar
    assert texts(sheet(labels, "x"))[-1] == "grey: the commonest value"


def test_all_panels_share_one_scale_of_their_values() -> None:
    array = np.stack([SMOOTH, 2 * SMOOTH], -1)
    figure = sheet(array, "x").figure
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 2
    assert {image.get_clim() for image in images} == {(array.min(), array.max())}


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_have_a_colour_of_their_own(odd: float) -> None:
    assert area(pixels(sheet(SMOOTH, "x")), ODD) == 0
    array = SMOOTH.copy()
    array[:20] = odd
    drawn = sheet(array, "x")
    picture = pixels(drawn)
    image = drawn.figure.axes[0].get_window_extent()
    assert 0.45 < area(picture, ODD) / (image.width * image.height) < 0.55
    assert "pink: 600 values that are not finite" in texts(drawn)[-1]


def test_the_same_array_gives_the_same_bytes() -> None:
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        sheet(SMOOTH, "x").save(file)
    assert files[0].getvalue() == files[1].getvalue()


# -- every array gives a picture ------------------------------------------------------------------

FULL = np.full((20, 30), 1.0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "array",
    [
        FULL * 0.3,
        FULL * np.nan,
        FULL * np.inf,
        FULL * 1e308 * np.linspace(-1, 1, 30),
        FULL * 5e-324 * np.arange(30),
        np.arange(2**62, 2**62 + 400).reshape(20, 20),
        np.array([[0, 2**64 - 1]] * 20, "uint64"),
        np.arange(-(2**63), 2**63 - 1, 2**58, dtype="int64"),
        X > 3,
        (SMOOTH * 1j).astype("complex64"),
        np.full((20, 30), complex(1e308, 1e308)),
        SMOOTH.astype("float16"),
        SMOOTH.astype(ml_dtypes.bfloat16),
        SMOOTH.astype(">f4"),
        np.asfortranarray(SMOOTH),
        np.array(3),
        np.array([[1.0]]),
        np.full((9, 3), np.nan),
        np.array([np.nan, 1, np.inf]),
        np.full((4, 17, 3), np.inf),
        np.zeros((1, 200_000)),
        np.zeros((40, 1, 1)),
        np.zeros((9, 9, 2, 2, 2, 2), bool),
        np.arange(40).repeat(10).reshape(20, 20),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_every_array_gives_a_picture(array: np.ndarray) -> None:
    picture = pixels(sheet(array, "x"))
    height, width = picture.shape[:2]
    assert 200 <= height <= 1200 and 200 <= width <= 1600
    assert (picture < 250).any()


@pytest.mark.parametrize("shape", [(0,), (0, 3), (4, 0, 2)])
def test_an_empty_array_is_a_reason(shape: tuple[int, ...], capsys) -> None:
    np.save("x.npy", np.zeros(shape))
    plot("x.npy", "--plot", "x.png", status=1)
    assert capsys.readouterr().err == (
        "tfdecode inspect: x.npy: array has no elements, so there is nothing to draw\n"
    )
    assert not Path("x.png").exists()


# -- the command ----------------------------------------------------------------------------------


def test_an_array_file_is_drawn(capsys) -> None:
    plot("map.npy", "--plot", "map.png")
    out, err = capsys.readouterr()
    assert not err and out.endswith("\ndrawn in map.png: 1 panel\n")
    assert imread("map.png").shape[2] >= 3


def test_the_title_tells_file_key_dtype_shape_and_range() -> None:
    drawn = sheet(SMOOTH.astype("float32"), "maps.npz#depth")
    assert texts(drawn)[0] == "maps.npz#depth"
    assert texts(drawn)[1].startswith(f"float32 [40,30]   values 0..{SMOOTH.max():.6g}")


def test_a_payload_is_drawn(capsys) -> None:
    assert main(["pack", "map.npy"]) == 0
    plot("map.npy.tfd", "--plot", "out.png", "--json")
    assert '"panels": 1' in capsys.readouterr().out and Path("out.png").exists()


def test_one_array_of_several_is_chosen_by_key(capsys) -> None:
    np.savez("maps.npz", a=SMOOTH, b=np.zeros((8, 8, 3)))
    plot("maps.npz", "--plot", "x.png", status=1)
    assert "holds 2 arrays, choose one by key: a: float64 [40,30]; b" in capsys.readouterr().err
    plot("maps.npz#b", "--plot", "x.png")
    assert "3 panels; rows are axis 0, columns axis 1, a panel for " in capsys.readouterr().out


def test_a_spec_is_nothing_to_draw(capsys) -> None:
    Path("s.json").write_text(tfd.ArraySpec((2,), "uint8").to_json())
    plot("s.json", "--plot", "x.png", status=1)
    assert capsys.readouterr().err == (
        "tfdecode inspect: s.json: no array to plot was read from this spec\n"
    )


@pytest.mark.parametrize("out", ["map.png", "./map.png", "map.png.json"])
def test_an_input_is_never_overwritten(out: str, capsys) -> None:
    spec = tfd.ArraySpec((40, 30), "float64", "png")
    Path("map.png").write_bytes(spec.encode(SMOOTH))
    Path("map.png.json").write_text(spec.to_json())
    before = Path("map.png").read_bytes()
    plot("map.png", "--plot", out, status=2)
    assert Path("map.png").read_bytes() == before


def test_a_failed_write_leaves_nothing(folder: Path, capsys) -> None:
    before = set(folder.iterdir())
    plot("map.npy", "--plot", "no/such/x.png", status=1)
    assert capsys.readouterr().err.startswith(
        "tfdecode inspect: no/such: the directory does not exist"
    )
    assert set(folder.iterdir()) == before


def test_names_are_drawn_as_they_stand(capsys) -> None:
    name = "$\\frac{$ 図\x1b[31m" + "x" * 60 + ".npy"
    np.save(name, SMOOTH)
    plot(name, "--plot", "x.png")
    out, err = capsys.readouterr()
    assert not err and "\x1b" not in out
    drawn = sheet(SMOOTH, name * 20)
    assert not texts(drawn)[0].startswith("\x1b") and len(texts(drawn)[0]) < 150
    pixels(drawn)


def test_an_array_beyond_max_bytes_is_not_drawn(capsys) -> None:
    plot("map.npy", "--plot", "x.png", "--max-bytes", "100", status=1)
    assert "decodes to 9600 bytes, more than the limit of 100" in capsys.readouterr().err


def test_without_matplotlib_the_extra_is_named(capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    plot("map.npy", "--plot", "x.png", status=1)
    assert capsys.readouterr().err == (
        "tfdecode inspect: map.npy: matplotlib is not installed; install tfdecode with its extra "
        "'plot': pip install '.[plot]' in a checkout\n"
    )


def test_drawing_needs_no_display_and_ignores_the_users_style(folder: Path) -> None:
    (folder / "matplotlibrc").write_text("backend: TkAgg\nfigure.facecolor: black\n")
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MPLBACKEND")}
    environment["PYTHONPATH"] = str(Path(tfd.__file__).parents[1])
    command = [sys.executable, "-m", "tfdecode", "inspect", "map.npy", "--plot", "x.png"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert not done.stderr and imread("x.png")[0, 0, :3].tolist() == [1, 1, 1]


def test_a_pickle_of_pose_maps(capsys) -> None:
    pose = np.where(np.arange(40 * 30 * 18).reshape(40, 30, 18) % 97, -1, 1).astype("float32")
    Path("pose.pkl").write_bytes(pickle.dumps(pose))
    plot("pose.pkl", "--plot", "pose.png")
    assert "18 panels" in capsys.readouterr().out
