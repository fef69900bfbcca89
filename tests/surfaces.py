"""Volatility surfaces for tests: slices of a known eSSVI surface, and what was quoted around it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from validators.schemas.vol_slices import VolSlices

AT = datetime(2025, 10, 16, 12, tzinfo=UTC)
DAYS = (1, 2, 3, 8, 15, 29, 43, 71, 162, 253)
UNFITTED = {"few_quotes": 22, "near_expiry": 0}
_YEAR_US = 365 * 86_400_000_000
_SCHEMA = {name: column.dtype.type for name, column in VolSlices.to_schema().columns.items()}


def expiry(days):
    return AT.replace(hour=8) + timedelta(days=days)


def slices(*, underlying="BTC", source="trades", at=AT, level=0.42, model="essvi"):
    """The smiles of a surface, and two expiries that have none."""
    rows = [_slice(days, level, model) for days in DAYS]
    rows += [{"expiry": expiry(days), "status": why} for why, days in UNFITTED.items()]
    rows[-1]["expiry"] = AT + timedelta(hours=2)
    place = {"timestamp": at, "underlying": underlying, "source": source}
    told = [_empty() | row | place | {"tenor": _tenor(row["expiry"])} for row in rows]
    return pl.DataFrame(told, schema=_SCHEMA).sort("expiry")


def points(frame, *, each=25, seed=3):
    """Quotes around the smiles of a frame, and two where there is none."""
    dice, rows = np.random.default_rng(seed), []
    for row in frame.iter_rows(named=True):
        if row["status"] != "ok":
            rows += [_point(row["expiry"], k, 0.4, 0.02) for k in (-0.01, 0.01)]
            continue
        width = 2.5 * np.sqrt(row["theta"])
        for k in dice.uniform(-width, 0.8 * width, each):
            error = 0.002 + 0.02 * abs(k) * dice.uniform()
            iv = np.sqrt(_variance(k, row) / row["tenor"]) + dice.normal(0, error)
            rows.append(_point(row["expiry"], k, iv, 1.5 * error))
    return pl.DataFrame(rows)


def _slice(days, level, model):
    tenor = _tenor(expiry(days))
    theta, rho = level**2 * tenor * (1 + 0.1 * np.log(days + 1)), -0.35 + 0.02 * np.log(days)
    psi = 0.9 * np.sqrt(theta) / (1 + 0.2 * np.sqrt(theta))
    phi = psi / theta
    raw = {  # the same smile as raw SVI
        "svi_a": theta / 2 * (1 - rho**2),
        "svi_b": theta * phi / 2,
        "svi_rho": rho,
        "svi_m": -rho / phi,
        "svi_sigma": np.sqrt(1 - rho**2) / phi,
    }
    return {
        "expiry": expiry(days),
        "forward": 108_000.0 * (1 + 0.05 * tenor),
        "model": model,
        "theta": theta,
        "rho": rho,
        "psi": psi,
        **(raw if model == "svi" else {}),
        "atm_iv": np.sqrt(theta / tenor),
        "atm_error": 0.002 + 0.003 / np.sqrt(days),
        "quotes": 25,
        "left_out": 2,
        "rmse": 0.004,
        "repaired": days % 3,
        "violations_before": 11,
        "worst_before": 0.00021,
        "violations_after": 0,
        "min_density": 0.3,
        "calendar_margin": None if days == 1 else 0.0004,
        "status": "ok",
    }


def _variance(k, row):
    theta, rho, phi = row["theta"], row["rho"], row["psi"] / row["theta"]
    return theta / 2 * (1 + rho * phi * k + np.sqrt((phi * k + rho) ** 2 + 1 - rho**2))


def _point(at, k, iv, error):
    name = f"BTC-{at.day}{at:%b%y}-{108_000 * np.exp(k):.0f}-{'C' if k > 0 else 'P'}".upper()
    vols = {"iv": iv, "iv_low": iv - error, "iv_high": iv + error}
    return {"expiry": at, "instrument": name, "log_moneyness": k, **vols}


def _tenor(at):
    return (at - AT) / timedelta(microseconds=1) / _YEAR_US


def _empty():
    return dict.fromkeys(_SCHEMA) | {"quotes": 2, "left_out": 0}
