# The compiled module has every function of x402.h; build_raw.py reads them from there.
from typing import Any

ffi: Any
lib: Any
