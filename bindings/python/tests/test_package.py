"""The package: one module for every Python from 3.9 on, built outside the repository too, and typed as the header is."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import libx402
from conftest import ROOT
from libx402 import _raw

PACKAGE = ROOT / "bindings" / "python"
#: The oldest Python whose stable interface the wheel claims to need, as PY_VERSION_HEX.
OLDEST = "0x03090000"
LIBRARY_FOLDER = os.environ.get("X402_LIB_DIR", str(Path(libx402.__file__).parent))


def said(*command: object, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, env={**os.environ, **environment}, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def module_file() -> Path:
    (found,) = Path(libx402.__file__).parent.glob("_raw*.so")
    return found


def test_the_module_needs_the_stable_interface_alone(tmp_path: Path) -> None:
    assert module_file().name == "_raw.abi3.so"
    symbols = said("nm", "-D", "--undefined-only", "--format=just-symbols", module_file()).split()
    of_python = {symbol for symbol in symbols if symbol.startswith(("Py", "_Py"))}
    (tmp_path / "stable.c").write_text(f"#define Py_LIMITED_API {OLDEST}\n#include <Python.h>\n")
    include = said(sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('include'))").strip()
    stable = set(re.findall(r"\w+", said("cc", "-E", f"-I{include}", tmp_path / "stable.c")))
    assert len(of_python) > 5 and of_python <= stable, of_python - stable


def test_the_types_of_the_module_are_those_of_the_header() -> None:
    sys.path.insert(0, str(PACKAGE))
    try:
        build_raw = importlib.import_module("build_raw")
    finally:
        sys.path.remove(str(PACKAGE))
    stub = build_raw.stub((ROOT / "include" / "x402.h").read_text())
    assert stub == (PACKAGE / "src/libx402/_raw.pyi").read_text(), "run: python build_raw.py --stub"
    for name in re.findall(r"^    (?:def )?(_?x402_\w+|X402_\w+)", stub, flags=re.M):
        assert hasattr(_raw.lib, name), name


def test_an_archive_builds_far_from_the_repository(tmp_path: Path) -> None:
    # Of a copy, so that nothing is written into the repository.
    (tmp_path / "repository" / "bindings").mkdir(parents=True)
    copy = tmp_path / "repository" / "bindings" / "python"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("build", "*.egg-info", "*.so*", "__pycache__", ".*"))
    for name in ("include", "LICENSE-APACHE", "LICENSE-MIT"):
        (tmp_path / "repository" / name).symlink_to(ROOT / name)
    said(sys.executable, "-c", "import setuptools.build_meta as b; b.build_sdist('..')", cwd=copy)
    (archive,) = (tmp_path / "repository" / "bindings").glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "far")
    shutil.rmtree(tmp_path / "repository")
    (source,) = (tmp_path / "far").iterdir()
    said(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index",
         "-w", tmp_path / "wheels", source, X402_LIB_DIR=LIBRARY_FOLDER, X402_HEADER="", PKG_CONFIG_PATH="")
    (wheel,) = (tmp_path / "wheels").iterdir()
    assert re.fullmatch(r"libx402-[\d.]+-cp39-abi3-linux_\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        packed.extractall(tmp_path / "installed")
    for name in ("_raw.abi3.so", "libx402.so.0", "py.typed", "_raw.pyi", "client.py"):
        assert f"libx402/{name}" in names
    assert sum("LICENSE-" in name for name in names) == 2
    version = said(sys.executable, "-c", "import libx402; print(libx402.__file__, libx402.version)",
                   cwd=tmp_path, PYTHONPATH=str(tmp_path / "installed"))
    assert version.split() == [str(tmp_path / "installed/libx402/__init__.py"), libx402.version]


def test_a_missing_library_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="set X402_LIB_DIR to its folder"):
        said(sys.executable, "setup.py", "build_ext", "--build-lib", tmp_path, "--build-temp", tmp_path, cwd=PACKAGE,
             X402_LIB_DIR=str(tmp_path))
