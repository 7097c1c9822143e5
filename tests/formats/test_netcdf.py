"""NetCDF-4 files are read as the HDF5 that they are."""

from __future__ import annotations

from pathlib import Path

import h5netcdf
import numpy as np
import pytest
import scipy.io

import tfdecode as tfd


def test_variables_are_read_and_dimensions_are_named(tmp_path: Path) -> None:
    field = np.arange(24, dtype="float32").reshape(2, 3, 4)
    with h5netcdf.File(tmp_path / "a.nc", "w") as file:
        file.dimensions = {"time": None, "lat": 3, "lon": 4}
        file.resize_dimension("time", 2)
        file.create_variable("t2m", ("time", "lat", "lon"), data=field, compression="gzip")
        file.create_variable("lat", ("lat",), data=np.arange(3.0))
        file.create_group("ocean").create_variable("mask", ("lon",), data=np.ones(4, "i1"))
    with pytest.warns(tfd.SkippedWarning, match="lon, time: dimension of NetCDF, which"):
        found = tfd.load_all(tmp_path / "a.nc")
    assert set(found) == {"t2m", "lat", "ocean/mask"}
    np.testing.assert_array_equal(found["t2m"], field)
    (tmp_path / "a.nc").rename(tmp_path / "a.nc4")
    np.testing.assert_array_equal(tfd.load(tmp_path / "a.nc4", "t2m"), field)


def test_a_classic_file_is_named(tmp_path: Path) -> None:
    with scipy.io.netcdf_file(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 3)
        file.createVariable("v", "f4", ("x",))[:] = 1
    said = r"named \.nc but holds a NetCDF 3 file; nccopy -k nc4 OLD.nc NEW.nc makes it NetCDF 4"
    with pytest.raises(tfd.FileError, match=said):
        tfd.load(tmp_path / "a.nc")
