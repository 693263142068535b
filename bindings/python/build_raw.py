"""Compiles `libx402._raw`, the C interface as Python sees it.

Everything is read from x402.h: each function, type, constant and callback of the header is in `_raw`, under its own
name, because there is no second list of them. Each callback type `x402_NAME_fn` gets one trampoline, `_x402_NAME`.
"""

import os
import re
from pathlib import Path

import cffi

ROOT = Path(__file__).resolve().parent.parent.parent
HEADER = Path(os.environ.get("X402_HEADER", ROOT / "include" / "x402.h"))
LIBRARY_FOLDER = Path(os.environ.get("X402_LIB_DIR", ROOT / "build" / "release" / "lib"))
# The name under which the library is installed beside the compiled module, and found by it.
LIBRARY = "libx402.so.0"


def declarations(header: str) -> str:
    """What cffi needs of the header's text: no comments, no preprocessor, no C++."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    constants = re.findall(r"^#define (X402_[A-Z_]+) +(?:-?\d+|U?INT\d+_MAX|UINT\d+_C\(.*\))\s*$", text, flags=re.M)
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


ffibuilder = cffi.FFI()
ffibuilder.cdef(declarations(HEADER.read_text(encoding="utf-8")))
ffibuilder.set_source(
    "libx402._raw",
    "#include <x402.h>",
    include_dirs=[str(HEADER.parent)],
    library_dirs=[str(LIBRARY_FOLDER)],
    libraries=["x402"],
    extra_link_args=["-Wl,-rpath,$ORIGIN"],
    py_limited_api=True,
)
