#!/usr/bin/env bash
# zstd in pyarrow 26.0.1: on pages of option trades as JSON, level 3 takes longer and packs worse.
#
# Guessed: a higher level never gives more bytes, so that the usual level 3 costs a little time and
# saves a little disk. Seen, on 10,000 trades a page as an exchange sends them (the same member names
# over and over, short numbers between): level 1 gives the smallest output of levels 1 to 5, level 3
# some 5 % more and takes longer; only from level 6 on is it smaller, at five times the time. Whoever
# stages such pages as they come stages them at level 1.
#
# Output seen:
#   level 1 is smaller than level 2: True
#   level 1 is smaller than level 3: True
#   level 1 is smaller than level 4: True
#   level 6 is smaller than level 1: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1

cat > "$folder/ask.py" <<'PYTHON'
import json
import random

import pyarrow as pa

dice = random.Random(7)
strikes, moment, index = range(40_000, 110_000, 1_000), 1_717_200_000_000, 67_000.0
trades = []
for number in range(10_000):
    moment += round(dice.expovariate(1 / 2_500))
    index += dice.gauss(0, 5)
    mark = round(dice.expovariate(1 / 0.02), 8)
    side, strike = dice.choice("CP"), dice.choice(strikes)
    amount = round(0.1 * (1 + dice.expovariate(1 / 20) // 1), 1)
    trades.append({
        "timestamp": moment, "price": round(round(mark / 0.0005) * 0.0005, 4), "amount": amount,
        "index_price": round(index, 2), "trade_seq": dice.randrange(1, 3_000),
        "tick_direction": dice.randrange(4), "iv": round(dice.uniform(30, 90), 2),
        "direction": dice.choice(("buy", "sell")),
        "instrument_name": f"BTC-{dice.randrange(1, 29)}JUN24-{strike}-{side}",
        "mark_price": mark, "trade_id": str(965_935_595 + number), "contracts": amount,
    })  # fmt: skip
page = json.dumps({"result": {"trades": trades}}, separators=(",", ":")).encode()
sizes = {
    level: len(pa.Codec("zstd", compression_level=level).compress(page)) for level in (1, 2, 3, 4, 6)
}
for level in (2, 3, 4):
    print(f"level 1 is smaller than level {level}: {sizes[1] < sizes[level]}")
print(f"level 6 is smaller than level 1: {sizes[6] < sizes[1]}")
PYTHON

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/said"
diff "$folder/said" - <<'EXPECTED'
level 1 is smaller than level 2: True
level 1 is smaller than level 3: True
level 1 is smaller than level 4: True
level 6 is smaller than level 1: True
EXPECTED
