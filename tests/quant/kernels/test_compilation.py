"""Compiled code: never older than its source, and the same on smaller machines."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from quant.kernels.black76 import price_and_greeks
from quant.kernels.implied_vol import implied_vol
from tests.quant.markets import SETS
from tests.quant.reference import EPS

ROOT = Path(__file__).parents[3]
SOLVE = """
import sys, numpy as np
from tests.quant.markets import SETS
from quant.kernels.implied_vol import implied_vol
market = SETS["mkt"](20_000)
np.savez(sys.argv[1], iv=implied_vol(*market.quotes)[0], price=market.price)
"""
PASSES = ("start", "guess", "ratio_by_mills", "ratio_by_series", "step", "step_far")
ASSEMBLY = f"""
import sys, json
from numba import boolean, float64, uint8
import quant.kernels.implied_vol_passes as passes
from quant.kernels.implied_vol import _implied_vol
# compiled and not run: this machine may not know the instructions
_implied_vol.compile((float64[::1],) * 4 + (boolean[::1], float64[::1], uint8[::1]))
asm = {{name: list(getattr(passes, name).inspect_asm().values()) for name in {PASSES}}}
json.dump(asm, open(sys.argv[1], "w"))
"""


def run(code, *arguments, cwd=ROOT, **environment):
    subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, cwd=cwd, env=os.environ | environment
    )


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["haswell", "nehalem"])
def test_a_smaller_machine_gives_the_same_volatilities(tmp_path, cpu):
    """Haswell has no AVX-512, Nehalem no fused multiply-add."""
    features = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    run(SOLVE, str(tmp_path / "small.npz"), **features)
    small = np.load(tmp_path / "small.npz")
    market = SETS["mkt"](20_000)
    given_price = (small["price"], *market.quotes[1:])
    iv, _ = implied_vol(*given_price)
    vega = price_and_greeks(market.forward, market.strike, market.tenor, iv, market.is_call)[3]

    units = np.abs(small["iv"] / iv - 1) / EPS
    allowed = {"haswell": 2.0, "nehalem": 10.0}[cpu]
    assert np.nanmax(units / np.maximum(1.0, small["price"] / (iv * vega * 100))) <= allowed
    assert np.array_equal(np.isnan(small["iv"]), np.isnan(iv))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cpu", "vector"), [("haswell", "ymm"), ("znver3", "ymm"), ("znver4", "zmm")]
)
def test_every_pass_is_vectorised_as_wide_as_the_machine_is(tmp_path, cpu, vector):
    features = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    run(ASSEMBLY, str(tmp_path / "asm.json"), **features)
    passes = json.loads((tmp_path / "asm.json").read_text())

    for name, variants in passes.items():
        assert variants, name
        asm = "\n".join(variants)
        packed = re.findall(rf"\bvfn?m(?:add|sub)\d+pd\b.*%{vector}", asm)
        single = re.findall(r"\bvfn?m(?:add|sub)\d+sd\b", asm)
        assert len(packed) >= max(len(single), 1), f"{name}: {len(packed)} of {vector}"
        assert re.search(rf"\bv(?:div|mul)pd\b.*%{vector}", asm), name
        assert not re.search(r"\bv(?:pgather|gather)", asm), f"{name} gathers"
        assert "zmm" not in asm or vector == "zmm", name


@pytest.mark.slow
def test_a_change_of_an_inlined_function_reaches_kernels_in_the_cache(tmp_path):
    """Numba by itself looks only at the file the kernel stands in."""
    shutil.copytree(ROOT / "quant", tmp_path / "quant", ignore=lambda *_: ["__pycache__"])
    price = (
        "import numpy as np; from quant.kernels.black76 import price; x = np.ones(1);"
        "open('price', 'w').write(repr(float(price(x, x, x, x, x > 0)[0])))"
    )
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    run(price, cwd=tmp_path, **environment)
    before = float((tmp_path / "price").read_text())
    source = tmp_path / "quant" / "kernels" / "elementary.py"
    changed = source.read_text().replace("INV_SQRT_2PI = 0.39", "INV_SQRT_2PI = 0.29")
    assert changed != source.read_text()
    source.write_text(changed)

    run(price, cwd=tmp_path, **environment)

    assert float((tmp_path / "price").read_text()) != before
