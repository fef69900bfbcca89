"""How the kernels are compiled: one set of options, and the widest vectors the machine has."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# `contract` lets a*b + c become one instruction, `nsz` forgets the sign of zero. Anything further
# would break the rounding tricks of the elementary functions or the handling of NaN.
# Without error_model="numpy" a division may raise, and no loop with one vectorises.
_OPTIONS: dict[str, Any] = {"fastmath": {"contract", "nsz"}, "error_model": "numpy"}
# Only compiled code calls them; what would make them callable from Python takes time to build.
_WITHOUT_WRAPPERS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function of scalars that is inlined where it is called, so that loops vectorise."""
    return njit(function, forceinline=True, **_OPTIONS)


def scalar(function: Callable[..., Any]) -> Any:
    """Compile a function of scalars that is called, for rows too rare to be vectorised."""
    return njit(function, **_OPTIONS)


def loop(function: Callable[..., Any]) -> Any:
    """Compile a loop over arrays that kernels call, and only they: it is cached with them."""
    return njit(function, **_OPTIONS, **_WITHOUT_WRAPPERS)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a loop over arrays: cached on disk, free of the interpreter's lock."""
    try:
        compiled = njit(function, cache=True, nogil=True, **_OPTIONS)
    except RuntimeError:  # numba found no folder it may write to
        return njit(function, nogil=True, **_OPTIONS)
    # Numba asks only whether the file of the kernel itself changed, and would go on running old
    # code after a change of a function inlined from another one.
    compiled._cache._cache_file._source_stamp = _SOURCES  # noqa: SLF001
    return compiled


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SOURCES = _digest_of_sources()


def _ask_for_wide_vectors(_typing_context: Any) -> Any:
    """Ask LLVM for vectors of 512 bits in the kernel this is called in, where the CPU has them.

    LLVM prefers 256 on many CPUs that have 512, for the sake of programs that use them now and
    then. A loop of arithmetic alone gains: 15 instead of 22 ns per implied volatility.
    """

    def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, _arguments: Any) -> Any:
        # llvmlite admits only the attributes it knows by name; LLVM takes any pair of strings.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), codegen


wide_vectors: Any = intrinsic(_ask_for_wide_vectors)
