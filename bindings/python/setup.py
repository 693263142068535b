"""The compiled part of the package: `_raw`, for every Python from 3.9 on, and libx402 itself beside it.

An archive of sources (sdist) has x402.h and the licences in it, and needs nothing of the repository; the library is then
that of X402_LIB_DIR, or the installed one. Run from either place.
"""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import build_raw  # noqa: E402

LICENCES = ["LICENSE-APACHE", "LICENSE-MIT"]


class BuildWithLibrary(build_ext):
    """Puts the library beside the module that loads it, so that a wheel needs nothing installed."""

    def run(self) -> None:
        super().run()
        module = Path(self.get_ext_fullpath("libx402._raw"))
        folder = Path("src/libx402") if self.inplace else module.parent
        shutil.copyfile(build_raw.library_folder() / build_raw.LIBRARY, folder / build_raw.LIBRARY)


class ArchiveWithHeader(sdist):
    """Adds what the package shares with the rest of the repository."""

    def make_release_tree(self, base_dir: str, files: list) -> None:
        super().make_release_tree(base_dir, files)
        base = Path(base_dir)
        (base / "include").mkdir(exist_ok=True)
        shutil.copyfile(build_raw.header_file(), base / "include" / "x402.h")
        for name in LICENCES:
            shutil.copyfile(next(root / name for root in (HERE, build_raw.ROOT) if (root / name).exists()), base / name)


# Without a compiled module an archive needs no library to be made.
MAKES_ARCHIVE = bool({"sdist", "egg_info"} & set(sys.argv))

setup(
    cffi_modules=[] if MAKES_ARCHIVE else ["build_raw.py:builder"],
    cmdclass={"build_ext": BuildWithLibrary, "sdist": ArchiveWithHeader},
    options={"bdist_wheel": {"py_limited_api": "cp39"}},
)
