#!/usr/bin/env bash
# cryptofeed 2.4.1: Deribit options whose strikes differ behind the point are one symbol: one is heard.
#
# Guessed: every option of Deribit's lists has a symbol of its own. Seen: the strike of a symbol is cut
# to a whole number, so that the calls at 2.1, 2.5 and 2.9 of one expiry are all
# XRP-USDC-2-25V31-call, which stands for the last of them in the list; below 1 the strike is 0.
# Whoever subscribes to all symbols gets a part of the chain, under names of other strikes, without a
# word. Linear options of XRP, and of whatever else is cheap, have such strikes.
#
# Output seen:
#   3 options
#   XRP-USDC-2-25V31-call XRP_USDC-31OCT25-2d9-C
#   2 options
#   DOGE-USDC-0-25V31-call DOGE_USDC-31OCT25-0d24-C
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check cryptofeed==2.4.1

cat > "$folder/ask.py" <<'PYTHON'
from cryptofeed.exchanges import Deribit


def option(base, name, strike):
    return {
        "instrument_name": name, "kind": "option", "option_type": "call", "strike": strike,
        "base_currency": base, "quote_currency": "USDC", "settlement_period": "month",
        "expiration_timestamp": 1761897600000, "tick_size": 0.0001,
    }


for base, strikes in (("XRP", (2.1, 2.5, 2.9)), ("DOGE", (0.2, 0.24))):
    listed = [
        option(base, f"{base}_USDC-31OCT25-{str(strike).replace('.', 'd')}-C", strike)
        for strike in strikes
    ]
    symbols, _ = Deribit._parse_symbol_data([{"result": listed}])
    print(len(listed), "options")
    for symbol, name in symbols.items():
        if "-" in name:
            print(symbol, name)
PYTHON

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/said"
diff "$folder/said" - <<'EXPECTED'
3 options
XRP-USDC-2-25V31-call XRP_USDC-31OCT25-2d9-C
2 options
DOGE-USDC-0-25V31-call DOGE_USDC-31OCT25-0d24-C
EXPECTED
