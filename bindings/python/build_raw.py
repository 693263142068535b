"""Compiles `libx402._raw`, the C interface as Python sees it.

Everything is read from x402.h: each function, type, constant and callback of the header is in `_raw`, under its own
name, because there is no second list of them. Each callback type `x402_NAME_fn` gets one trampoline, `_x402_NAME`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import cffi

HERE = Path(__file__).resolve().parent
#: The repository, where this is not an unpacked archive of its own.
ROOT = HERE.parent.parent
# The name under which the library is installed beside the compiled module, and found by it.
LIBRARY = "libx402.so.0"


def header_file() -> Path:
    """x402.h: the one named by X402_HEADER, the archive's own, or the repository's."""
    named = os.environ.get("X402_HEADER")
    candidates = [Path(named)] if named else [HERE / "include" / "x402.h", ROOT / "include" / "x402.h"]
    return _first(candidates, "x402.h", "set X402_HEADER to the header")


def library_folder() -> Path:
    """Where libx402.so is: the folder named by X402_LIB_DIR, the repository's build, or the system's by pkg-config."""
    named = os.environ.get("X402_LIB_DIR")
    candidates = [Path(named)] if named else [ROOT / "build" / "release" / "lib", *_installed()]
    return _first([folder / LIBRARY for folder in candidates], LIBRARY, "set X402_LIB_DIR to its folder").parent


def _installed() -> list[Path]:
    asked = ["pkg-config", "--variable=libdir", "x402"]
    try:
        return [Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())]
    except (OSError, subprocess.CalledProcessError):
        return []


def _first(candidates: list[Path], what: str, remedy: str) -> Path:
    found = next((path for path in candidates if path.exists()), None)
    if found is None:
        raise SystemExit(f"{what} is not at {', nor at '.join(map(str, candidates))}: {remedy}")
    return found


def without_comments(header: str) -> str:
    return re.sub(r"/\*.*?\*/", "", header, flags=re.S)


def constants_of(text: str) -> list[str]:
    """Names of the constants that are numbers."""
    return re.findall(r"^#define (X402_[A-Z_]+) +(?:-?\d+|U?INT\d+_MAX|UINT\d+_C\(.*\))\s*$", text, flags=re.M)


def declarations(header: str) -> str:
    """What cffi needs of the header's text: no comments, no preprocessor, no C++."""
    text = without_comments(header)
    constants = constants_of(text)
    enums = re.findall(r"^enum (x402_\w+)\s.*?\{(.*?)\}", text, flags=re.M | re.S)
    opaque = re.findall(r"^typedef struct (x402_\w+) \1;", text, flags=re.M)
    structs = re.findall(r"^typedef struct \{.*?\} x402_\w+;", text, flags=re.M | re.S)
    callbacks = re.findall(r"^typedef (\w+) \(\*x402_(\w+)_fn\)\((.*?)\);", text, flags=re.M | re.S)
    functions = re.findall(r"^X402_API (.*?;)", text, flags=re.M | re.S)
    out = [f"#define {name} ..." for name in constants]
    for name, members in enums:
        members = re.sub(r"^#.*$|//.*$", "", members, flags=re.M)
        out += [f"typedef int32_t {name};", f"enum {{ {members} }};"]
    out += [f"typedef struct {name} {name};" for name in opaque]
    out += structs
    out += [f"typedef {returns} (*x402_{name}_fn)({takes});" for returns, name, takes in callbacks]
    out += [f'extern "Python" {returns} _x402_{name}({takes});' for returns, name, takes in callbacks]
    return "\n".join(out + functions)


def typed(declaration: str, takes: bool) -> str:
    """The Python type of a parameter or result: numbers, and what cffi makes or takes for a pointer."""
    if "*" not in declaration and "_fn" not in declaration:
        return "int"
    is_input = takes and re.search(r"const (char|uint8_t) \*\w*$", declaration)
    return "CData | bytes" if is_input else "CData"


def stub(header: str) -> str:
    """src/libx402/_raw.pyi: the compiled module as mypy sees it."""
    text = without_comments(header)
    out = [STUB_HEAD, "class Lib:"]
    out += [f"    {name}: int" for name in constants_of(text)]
    members = re.findall(r"^    (X402_[A-Z0-9_]+) = -?\d+,", text, flags=re.M)
    out += [f"    {name}: int" for name in members]
    out += [f"    _x402_{name}: CData" for name in re.findall(r"\(\*x402_(\w+)_fn\)", text)]
    for result, name, takes in re.findall(r"^X402_API (.*?)(x402_\w+)\((.*?)\);", text, flags=re.M | re.S):
        parameters = [] if takes == "void" else [" ".join(one.split()) for one in takes.split(",")]
        arguments = ["self", *(f"{one.split()[-1].lstrip('*')}: {typed(one, True)}" for one in parameters)]
        result = "None" if result.strip() == "void" else typed(result, False)
        out.append(f"    def {name}({', '.join([*arguments, '/'])}) -> {result}: ...")
    return "\n".join([*out, "", "ffi: FFI", "lib: Lib", ""])


STUB_HEAD = '''# Generated from x402.h: `python build_raw.py --stub`. A pointer is a CData, whatever it points to.
from typing import Any, Callable, Optional, overload

class CData:
    def __getitem__(self, index: int) -> Any: ...
    def __setitem__(self, index: int, value: object) -> None: ...
    def __getattr__(self, member: str) -> Any: ...

class Buffer:
    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> bytes: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class FFI:
    NULL: CData
    def new(self, kind: str, begin: object = ...) -> CData: ...
    def cast(self, kind: str, value: CData) -> CData: ...
    def gc(self, value: CData, free: Callable[[CData], None]) -> CData: ...
    def release(self, value: CData) -> None: ...
    def string(self, value: CData) -> bytes: ...
    def unpack(self, value: CData, length: int) -> bytes: ...
    def buffer(self, value: CData, size: int = ...) -> Buffer: ...
    def from_buffer(self, data: object) -> CData: ...
    def memmove(self, to: CData, data: object, size: int) -> None: ...
    def sizeof(self, kind: str) -> int: ...
    def new_handle(self, value: object) -> CData: ...
    def from_handle(self, handle: CData) -> Any: ...
    def def_extern(self, name: str, error: Optional[int] = ...) -> Callable[[Any], Any]: ...
'''


def builder() -> cffi.FFI:
    """What compiles the module."""
    header = header_file()
    made = cffi.FFI()
    made.cdef(declarations(header.read_text(encoding="utf-8")))
    made.set_source(
        "libx402._raw",
        "#include <x402.h>",
        include_dirs=[str(header.parent)],
        library_dirs=[str(library_folder())],
        libraries=[f":{LIBRARY}"],
        extra_link_args=["-Wl,-rpath,$ORIGIN"],
        py_limited_api=True,
    )
    return made


if __name__ == "__main__":
    if sys.argv[1:] != ["--stub"]:
        raise SystemExit("usage: build_raw.py --stub")
    (HERE / "src" / "libx402" / "_raw.pyi").write_text(stub(header_file().read_text(encoding="utf-8")), encoding="utf-8")
