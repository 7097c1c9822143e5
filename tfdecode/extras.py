"""Optional libraries: imported on first use; if one is missing, the error names its extra."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from .errors import MissingExtraError


class LazyModule(ModuleType):
    """A proxy for ``module`` that imports it when one of its attributes is read."""

    def __init__(self, module: str, extra: str | None = None) -> None:
        super().__init__(module)
        self.__dict__["_extra"] = extra

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # inspection by tools must not import a heavy library
            raise AttributeError(name)
        try:  # import_module takes 5 us even if there is nothing to import
            module = sys.modules.get(self.__name__) or importlib.import_module(self.__name__)
        except ModuleNotFoundError as error:
            ours = self.__name__.startswith("tfdecode.")  # then what it imports is missing
            missing = str(error.name) if ours else self.__name__
            raise missing_extra(missing, self.__dict__["_extra"]) from error
        return getattr(module, name)


#: Modules whose package has another name.
_PACKAGES = {"PIL": "pillow", "google": "protobuf"}


def missing_extra(module: str, extra: str | None) -> MissingExtraError:
    """The error that names the extra of tfdecode that installs ``module``."""
    package = module if module.startswith("backports.") else module.split(".")[0]
    package = _PACKAGES.get(package, package)
    how = f"tfdecode with its extra {extra!r}: pip install '.[{extra}]' in a checkout"
    return MissingExtraError(f"{package} is not installed; install {how if extra else package}")


tensorflow: Any = LazyModule("tensorflow", "tensorflow")
#: Python 3.14 has it in its standard library; before, it is a backport.
zstd: Any = LazyModule(
    "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd", "zstd"
)
