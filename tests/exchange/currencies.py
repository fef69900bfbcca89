"""Currencies, with the fields recorded in 2026."""

from typing import Any

from tests.exchange.instruments import CURRENCY_IDS


def _currency(name: str, long_name: str, *, decimals: int, fee: float, uuid: str) -> dict[str, Any]:
    network = {"display_name": "Ethereum", "resource_name": "networks/ethereum-mainnet"}
    return {
        "coinbase_networks": [network],
        "decimals": decimals,
        "currency": name,
        "apr": 0.0,
        "min_withdrawal_fee": fee,
        "withdrawal_fee": fee,
        "coin_type": name,
        "withdrawal_priorities": [],
        "network_fee": fee / 10,
        "network_currency": name,
        "min_confirmations": 1,
        "currency_long": long_name,
        "in_cross_collateral_pool": True,
        "onchain_operations_precision": decimals,
        "currency_uuid": uuid,
    }


CURRENCIES = [
    _currency("BTC", "Bitcoin", decimals=8, fee=1e-05, uuid=CURRENCY_IDS["BTC"]),
    _currency("ETH", "Ethereum", decimals=6, fee=0.001, uuid=CURRENCY_IDS["ETH"]),
    _currency("USDC", "USD Coin", decimals=6, fee=5.0, uuid=CURRENCY_IDS["USDC"]),
    _currency("USDT", "Tether", decimals=6, fee=2.0, uuid="b26327c1-9a34-51d9-b982-9b29e6012648"),
    _currency(
        "EURR", "StablR Euro", decimals=6, fee=2.0, uuid="7a1f7c1e-2f6b-5f39-9a5c-3f2f2b7f9d11"
    ),
]
