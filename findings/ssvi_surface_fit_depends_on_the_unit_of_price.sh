#!/usr/bin/env bash
# ssvi-surface 1.1.1: the same quotes in another unit of price give another surface, as a success.
#
# Guessed: a calibration of implied volatilities does not care whether strikes and premiums are in
# dollars or in units of the forward. Seen, on quotes half a vol point around an SSVI surface with rho
# -0.6 and eta 1.2: with strikes near 100,000 the parameters come back; with the same chain divided by
# 1,000 or by 100,000 the optimiser stops where it began, rho -0.9 and eta 0.78, and says success. What
# it minimises is squared prices, and the tolerance it stops at is absolute: premiums over the forward,
# as coin options are quoted, have to be scaled up before it is called.
#
# Output seen:
#   100000: success True, rho -0.6, eta 1.2
#   100: success True, rho -0.9, eta 0.8
#   1: success True, rho -0.9, eta 0.8
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ssvi-surface==1.1.1

cat > "$folder/ask.py" <<'PYTHON'
import contextlib
import io

import numpy as np
from ssvi_surface import SSVIModel, forward_bs_price

RHO, ETA, HALF_SPREAD = -0.6, 1.2, 0.005
tenor = np.array([30, 90]) / 365
k = np.linspace(-0.3, 0.3, 13) + 0.02 * np.random.default_rng(1).standard_normal(13)
is_call = k >= 0
types = np.where(is_call, "call", "put")
for spot in (100_000, 100, 1):
    strikes, bids, asks = [], [], []
    for years in tenor:
        theta = 0.36 * years
        x = ETA / np.sqrt(theta) * k
        variance = theta / 2 * (1 + RHO * x + np.sqrt((x + RHO) ** 2 + 1 - RHO**2))
        iv = np.sqrt(variance / years)
        strikes.append(spot * np.exp(k))
        for vol, quotes in ((iv - HALF_SPREAD, bids), (iv + HALF_SPREAD, asks)):
            quotes.append(forward_bs_price(float(spot), strikes[-1], years, vol, 0.0, 0.0, is_call))
    model = SSVIModel()
    with contextlib.redirect_stdout(io.StringIO()):
        found = model.fit(tenor, strikes, bids, asks, [types] * 2, S0=float(spot), r=0.0, q=0.0)
    print(f"{spot}: success {found.success}, rho {model.rho:.1f}, eta {model.eta:.1f}")
PYTHON

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/said"
diff "$folder/said" - <<'EXPECTED'
100000: success True, rho -0.6, eta 1.2
100: success True, rho -0.9, eta 0.8
1: success True, rho -0.9, eta 0.8
EXPECTED
