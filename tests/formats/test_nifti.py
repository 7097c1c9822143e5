"""NIfTI volumes as nibabel writes them, read in every bit."""

from __future__ import annotations

import gzip
import struct
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pytest

import tfdecode as tfd

DTYPES = ["u1", "i2", "i4", "f4", "f8", "i1", "u2", "u4", "i8", "u8", "c8", "c16"]
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", DTYPES)
def test_volumes_of_nibabel(tmp_path: Path, dtype: str, order: str) -> None:
    volume = (RNG.random((4, 5, 6)) * 100).astype(dtype)
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        header = kind.header_class(endianness=order)
        header.set_data_dtype(dtype)
        for suffix in (".nii", ".nii.gz"):
            path = tmp_path / f"v{suffix}"
            nibabel.save(kind(volume, np.eye(4), header), path)
            found = tfd.load(path)
            assert found.dtype.name == volume.dtype.name and not found.flags.writeable
            np.testing.assert_array_equal(found, volume)


def test_a_scaled_volume_has_two_arrays(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(RNG.random((4, 5, 6)).astype("f4"), np.eye(4))
    image.set_data_dtype("i2")
    nibabel.save(image, tmp_path / "v.nii.gz")
    expected = nibabel.load(tmp_path / "v.nii.gz")
    said = r"2 arrays \(its scale is .* \* stored \+ .*: stored: int16 \[4,5,6\]; scaled: float64"
    with pytest.raises(tfd.FileError, match=said):
        tfd.load(tmp_path / "v.nii.gz")
    found = tfd.load_all(tmp_path / "v.nii.gz")
    assert found["scaled"].tobytes() == expected.get_fdata().tobytes()
    np.testing.assert_array_equal(found["stored"], expected.dataobj.get_unscaled())


def test_colours_are_the_last_dimension(tmp_path: Path) -> None:
    colours = RNG.integers(0, 255, (4, 5, 6, 3), "uint8")
    fields = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    voxels = np.ascontiguousarray(colours).view(fields)[..., 0]
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "v.nii")
    np.testing.assert_array_equal(tfd.load(tmp_path / "v.nii"), colours)


def raw(tmp_path: Path) -> bytearray:
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 5, 6), "u1"), np.eye(4)), tmp_path / "good.nii")
    return bytearray((tmp_path / "good.nii").read_bytes())


@pytest.mark.parametrize(
    ("at", "layout", "values", "said"),
    [
        (344, "4s", [b"ni1\0"], "its voxels are in another file, .img"),
        (344, "4s", [b"\0\0\0\0"], "may be of Analyze 7.5"),
        (40, "h", [9], "says 9 dimensions"),
        (40, "2h", [3, -4], "dimensions are not all non-negative"),
        (70, "h", [1536], "of datatype 1536"),
        (108, "f", [1e30], "begin at byte 1e"),
        (108, "f", [float("nan")], "begin at byte nan"),
        (108, "f", [0.0], "begin at byte 0, within its header"),
        (112, "2f", [2.0, float("inf")], "its scl_inter is inf"),
        (42, "h", [400], "it has 120 bytes of voxels, its header says 12000"),
        (0, "i", [349], "no header of 348 or 540 bytes"),
    ],
)
def test_what_a_header_cannot_say(tmp_path: Path, at, layout: str, values, said: str) -> None:
    data = raw(tmp_path)
    struct.pack_into(f"<{layout}", data, at, *values)
    (tmp_path / "v.nii").write_bytes(data)
    with pytest.raises(tfd.FileError, match=f"v.nii: .*{said}"):
        tfd.load(tmp_path / "v.nii")


def test_a_scale_that_overflows_is_infinite(tmp_path: Path) -> None:
    data = raw(tmp_path)
    struct.pack_into("<h", data, 70, 64)  # float64
    struct.pack_into("<2f", data, 112, 1e38, 0)
    data[352:] = np.full(120, 1e300).tobytes()
    (tmp_path / "v.nii").write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isposinf(tfd.load(tmp_path / "v.nii", "scaled")).all()


def test_compressed_volumes_are_bounded_and_whole(tmp_path: Path) -> None:
    data = raw(tmp_path)
    path = tmp_path / "v.nii.gz"
    path.write_bytes(gzip.compress(data[:300]) + gzip.compress(data[300:]))
    assert (tfd.load(path) == 1).all()
    path.write_bytes(gzip.compress(data[:400]))
    with pytest.raises(tfd.FileError, match="it inflates to 400 bytes, its header says 472"):
        tfd.load(path)
    packed = gzip.compress(data)
    path.write_bytes(packed[:-5] + b"?" + packed[-4:])
    with pytest.raises(tfd.FileError, match="is a damaged NIfTI volume"):
        tfd.load(path)
    struct.pack_into("<8h", data, 40, 4, 30000, 30000, 30000, 1, 1, 1, 1)
    path.write_bytes(gzip.compress(data))
    with pytest.raises(tfd.FileError, match="decodes to 27000000000000 bytes, more than the limit"):
        tfd.load(path)


def test_a_name_is_not_enough(tmp_path: Path) -> None:
    (tmp_path / "v.nii").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    with pytest.raises(
        tfd.FileError, match=r"named \.nii but holds a PNG image; rename it to \.png"
    ):
        tfd.load(tmp_path / "v.nii")
    (tmp_path / "v.npy").write_bytes(raw(tmp_path))
    with pytest.raises(tfd.FileError, match=r"holds a NIfTI volume; rename it to \.nii"):
        tfd.load(tmp_path / "v.npy")
