"""The compiled part of the package: `_raw`, for every Python from 3.9 on, and libx402 itself beside it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

import sys

sys.path.insert(0, str(Path(__file__).resolve().parent))
import build_raw  # noqa: E402


class BuildWithLibrary(build_ext):
    """Puts the library beside the module that loads it, so that a wheel needs nothing installed."""

    def run(self) -> None:
        super().run()
        module = Path(self.get_ext_fullpath("libx402._raw"))
        folder = Path("src/libx402") if self.inplace else module.parent
        shutil.copyfile(build_raw.LIBRARY_FOLDER / build_raw.LIBRARY, folder / build_raw.LIBRARY)


setup(
    cffi_modules=["build_raw.py:ffibuilder"],
    cmdclass={"build_ext": BuildWithLibrary},
    options={"bdist_wheel": {"py_limited_api": "cp39"}},
)
