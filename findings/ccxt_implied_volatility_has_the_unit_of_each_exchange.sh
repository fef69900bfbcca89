#!/usr/bin/env bash
# ccxt 4.5.90: the unified Greeks of one volatility are 65 from Deribit and 0.65 from the others.
#
# Guessed: `fetch_greeks` and `fetch_all_greeks` return one structure for all exchanges, so that
# `markImpliedVolatility` can be compared between them. Seen: each parser passes on what its exchange
# sends. Deribit sends percent; Binance, Bybit and OKX send fractions. A smile put together from two
# of them, or a model fed from either, is wrong by a factor of a hundred on one side. Bid and ask
# volatilities are alike.
#
# Output seen:
#   deribit 65.0
#   binance 0.65
#   bybit 0.65
#   okx 0.65
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ccxt==4.5.90

cat > "$folder/ask.py" <<'PYTHON'
import ccxt

# one option whose mark is at a volatility of 65 %, in the members each exchange documents
told = {
    "deribit": {"instrument_name": "BTC-26DEC25-100000-C", "mark_iv": 65.0, "greeks": {}},
    "binance": {"symbol": "BTC-251226-100000-C", "markIV": "0.65"},
    "bybit": {"symbol": "BTC-26DEC25-100000-C-USDT", "markIv": "0.65"},
    "okx": {"instId": "BTC-USD-251226-100000-C", "markVol": "0.65", "ts": "1760000000000"},
}
for name, body in told.items():
    exchange = getattr(ccxt, name)()
    print(name, exchange.parse_greeks(body)["markImpliedVolatility"])
PYTHON

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/said"
diff "$folder/said" - <<'EXPECTED'
deribit 65.0
binance 0.65
bybit 0.65
okx 0.65
EXPECTED
