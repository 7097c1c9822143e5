"""Checks the wheel in a directory, and the package where it is installed without extras."""

import sys
import zipfile
from pathlib import Path

import numpy as np

import tfdecode as tfd

(wheel,) = Path(sys.argv[1]).glob("*.whl")
names = zipfile.ZipFile(wheel).namelist()
roots = {name.split("/")[0] for name in names}
package = [root for root in roots if not root.endswith(".dist-info")]
assert package == ["tfdecode"], f"{wheel.name} holds {sorted(roots)}"
assert "tfdecode/py.typed" in names, f"{wheel.name} has no py.typed"
assert str(Path(sys.prefix).resolve()) in tfd.__file__, f"imported from {tfd.__file__}"

array = np.arange(6, dtype="float32").reshape(2, 3)
spec = tfd.ArraySpec((2, 3), "float32", "astype:uint8|zlib")
assert spec.decode(spec.encode(array)).tobytes() == array.tobytes()
for heavy in ("tensorflow", "scipy", "matplotlib", "h5py"):
    assert heavy not in sys.modules, f"import tfdecode imported {heavy}"
print(f"{wheel.name}: {len(names)} files, packs and unpacks without extras")
