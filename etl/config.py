"""Settings of a run: flags over environment over deribit-lake.toml over defaults."""

import datetime as dt
import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    UrlConstraints,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError

from etl.bucket import S3, BucketUrl
from etl.errors import UsageError
from lake.store.place import Place, place_of

CONFIG_FILE = Path("deribit-lake.toml")
PREFIX = "DERIBIT_LAKE_"
"""Of a setting's variable in the environment."""
_KIND = re.compile(r"^(literal|tuple)\[")
_FIELD = re.compile(r'field "(\w+)"')
SECRETS = (
    "dsn",
    "keep.ping_url",
    "collect.ping_url",
    "backup.ping_url",
    "backup.drill_ping_url",
    "backup.drill_dsn",
)
"""Settings that no message repeats."""
Kind = Literal["candles", "trades", "funding", "index", "dvol", "tickers", "marks", "quotes"]
Words = Annotated[tuple[str, ...], Field(min_length=1)]
SocketUrl = Annotated[AnyUrl, UrlConstraints(allowed_schemes=["ws", "wss"], host_required=True)]


class Collect(BaseModel):
    """What `collect` keeps, and when it rings: also ``DERIBIT_LAKE_COLLECT__<FIELD>``.

    An alarm rings where the newest data of a kind are older than its limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    currencies: tuple[str, ...] = Field(
        ("BTC", "ETH", "USDC"), description="settlement currencies all of which is collected"
    )
    instruments: tuple[str, ...] = Field(
        (), description="perpetuals and futures, by name; none: all of the currencies"
    )
    kinds: tuple[Kind, ...] = Field(
        ("candles", "trades", "funding", "index", "dvol", "tickers"),
        description="kinds of data: those, and `marks`, `quotes`",
    )
    tickers: Literal["100ms", "agg2"] = Field("agg2", description="how often options' tickers come")
    keep_tickers: Literal["minute", "all"] = Field(
        "minute", description="which tickers are kept: the last of each minute, or all"
    )
    channels: tuple[str, ...] = Field((), description="other channels, kept as they come")
    socket_url: SocketUrl | None = Field(None, description="where sockets go; follows `host`")
    channels_per_socket: int = Field(1_500, ge=1, description="channels on one connection")
    confirm_minutes: float = Field(15, gt=0, description="minutes between two looks by REST")
    fold_at: str = Field(
        "01:10", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="UTC, for the day before"
    )
    listen: str = Field("127.0.0.1:8642", description="address of the page; empty: none")
    listen_beyond_loopback: bool = Field(default=False, description="let others see the page")
    ping_url: HttpUrl | None = Field(None, repr=False, description="check of Healthchecks.io")
    database: bool = Field(default=False, description="send live rows to the database, too")
    least_free_gb: float = Field(2.0, ge=0, description="below it, collection stops")
    most_message_megabytes: float = Field(16, gt=0, description="size of one message")
    clock_limit: float = Field(5, gt=0, description="seconds our clock may be off the exchange's")
    candle_limit: float = Field(180, gt=0, description="seconds, of candles")
    ticker_limit: float = Field(180, gt=0, description="seconds, of tickers of a currency")
    index_limit: float = Field(60, gt=0, description="seconds, of an index")
    dvol_limit: float = Field(900, gt=0, description="seconds, of a volatility index")
    funding_limit: float = Field(180, gt=0, description="seconds, of the funding of a perpetual")
    trade_limit: float = Field(3_600, gt=0, description="seconds, of trades of a currency")
    write_limit: float = Field(5, gt=0, description="seconds a message may wait for the disk")
    database_limit: float = Field(120, gt=0, description="seconds the database may be behind")


class KeepOwn(BaseModel):
    """What holds for one dataset alone, in a table of its own: ``[keep.options]``."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    since: dt.date | None = Field(None, description="first day, UTC")
    instruments: Words | None = Field(None, description="by name")
    currencies: Words | None = Field(None, description="what they settle in")
    indices: Words | None = Field(None, description="by name")
    settlement: tuple[Literal["day", "week", "month"], ...] = Field(
        (), description="of futures: settlement periods"
    )
    expiries: tuple[dt.date, ...] = Field((), description="of options: days of expiry")
    min_strike: float | None = Field(None, description="of options: lowest strike")
    max_strike: float | None = Field(None, description="of options: highest strike")


class Keep(BaseModel):
    """What `sync` brings up to date: also ``DERIBIT_LAKE_KEEP__<FIELD>``.

    A table below it, named after a dataset, holds what is other for that one.
    """

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)
    __pydantic_extra__: dict[str, KeepOwn]

    datasets: Words = Field(("perpetuals", "funding", "index"), description="what is held, by name")
    instruments: Words = Field(
        ("BTC-PERPETUAL", "ETH-PERPETUAL"), description="perpetuals, of candles and funding"
    )
    currencies: Words = Field(
        ("BTC", "ETH"), description="what futures and options settle in, all of which are held"
    )
    indices: Words = Field(
        ("btc_usd", "eth_usd"), description="of delivery prices and the volatility index"
    )
    since: dt.date | None = Field(
        None, description="first day, UTC; none: from the listing of each on"
    )
    computed: Literal["all"] | tuple[str, ...] = Field(
        (), description="what is computed besides, by name; `all` that what is held suffices for"
    )
    rates: bool | None = Field(
        None, description="yields of US bills; when not said, where Greeks are computed"
    )
    database: bool = Field(default=False, description="load it into the database, and compare")
    backup: bool = Field(default=False, description="`backup run` after it, whatever came of it")
    trailing_hours: float = Field(
        48, ge=0, le=8_784, description="hours before now that are asked for again once a day"
    )
    busy_minutes: float = Field(
        15, ge=0, description="minutes to wait for what another process is writing"
    )
    ping_url: HttpUrl | None = Field(None, repr=False, description="check of `sync`")


class Backup(BaseModel):
    """Where `backup` keeps what, and for how long: also ``DERIBIT_LAKE_BACKUP__<FIELD>``.

    The repository's password and the keys of its store are no settings: restic reads them from the
    environment.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    repository: str | None = Field(
        None,
        min_length=1,
        repr=False,
        description="where backups are kept, as restic writes it: a folder, `s3:…`, `b2:…`",
    )
    database: bool = Field(
        default=True, description="back up the database, too, where there is one"
    )
    keep_daily: int = Field(7, ge=1, description="days of which the last backup is kept")
    keep_weekly: int = Field(4, ge=0, description="weeks of which the last backup is kept")
    keep_monthly: int = Field(12, ge=0, description="months of which the last backup is kept")
    upload_kib: int | None = Field(None, ge=1, description="KiB/s sent at most; none: no limit")
    download_kib: int | None = Field(None, ge=1, description="KiB/s read at most; none: no limit")
    lock_minutes: float = Field(
        10, ge=0, description="minutes a backup waits for another that has locked the repository"
    )
    stall_minutes: float = Field(
        30, gt=0, description="minutes without progress after which a backup is given up"
    )
    ping_url: HttpUrl | None = Field(None, repr=False, description="check of the backup")
    drill_ping_url: HttpUrl | None = Field(None, repr=False, description="check of the drill")
    drill_dsn: str | None = Field(
        None,
        repr=False,
        description="where the drill makes its database; default: the server of dsn",
    )


class Settings(BaseSettings):
    """Everything a run can be told; each field is also ``DERIBIT_LAKE_<FIELD>``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # a DSN may hold a password
    )

    root: BucketUrl | Path = Field(
        Path("data"),
        union_mode="left_to_right",
        description="folder of the lake, or `s3://bucket/prefix`",
    )
    host: HttpUrl = Field(HttpUrl("https://www.deribit.com"), description="the exchange")
    history_host: HttpUrl | None = Field(
        None, description="where expired instruments are listed; follows `host` when not given"
    )
    treasury_url: HttpUrl = Field(
        HttpUrl("https://home.treasury.gov"), description="where the Treasury's yields are"
    )
    fred_url: HttpUrl = Field(
        HttpUrl("https://fred.stlouisfed.org"), description="where FRED has them, too"
    )
    log_dir: Path = Field(Path("logs"), description="folder of app.log")
    dsn: str | None = Field(None, description="the database", repr=False)
    db_dir: Path = Field(Path("db"), description="folder of the server of `db up`")
    outages: Path | None = Field(None, description="your own file of documented outages")
    credit_capacity: float = Field(50_000, gt=0, description="size of the credit bucket")
    credit_refill: float = Field(10_000, gt=0, description="credits a second")
    credit_cost: float = Field(500, gt=0, description="credits a call")
    cluster: str | None = Field(
        None, min_length=1, description="a Dask scheduler that `compute` runs on: tcp://HOST:PORT"
    )
    connections: int = Field(16, ge=1, le=32, description="requests in flight; 32 per address")
    retry_attempts: int = Field(12, ge=1, description="tries of one request")
    retry_seconds: float = Field(300, ge=0, description="seconds all tries of a request may take")
    patience_minutes: float = Field(
        75, ge=0, description="minutes a run waits where the exchange is down or wants fewer calls"
    )
    probe_seconds: float = Field(
        60, gt=0, description="seconds between two looks whether it is back"
    )
    answer_seconds: float = Field(
        60, gt=0, description="seconds the whole of an answer may take, and 10 a megabyte"
    )
    answer_megabytes: float = Field(512, gt=0, description="size of an answer, unpacked")
    settle_minutes: float = Field(120, ge=0, description="how long a closed candle may be revised")
    confirm_after: float = Field(
        600, ge=0, le=172_800, description="seconds between two looks at a hole"
    )

    keep: Keep = Field(Keep(), description="what `sync` brings up to date")
    collect: Collect = Field(Collect(), description="what `collect` keeps, and when it rings")
    backup: Backup = Field(Backup(), description="where `backup` keeps what")
    s3: S3 = Field(S3(), description="the store of a lake in a bucket")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the TOML file below the environment; no dotenv, no secret files."""
        del dotenv_settings, file_secret_settings
        toml = TomlConfigSettingsSource(settings_cls, settings_cls.model_config.get("toml_file"))
        return init_settings, env_settings, toml

    @field_validator("root")
    @classmethod
    def _is_a_place(cls, root: str | Path) -> str | Path:
        place_of(root)
        return root

    @property
    def place(self) -> Place:
        """Where the lake lies."""
        return self.s3.place(self.root)

    @property
    def base_url(self) -> str:
        """The host without a slash at its end."""
        return str(self.host).rstrip("/")

    @property
    def socket_url(self) -> str:
        """Where sockets of the exchange are opened."""
        if self.collect.socket_url is not None:
            return str(self.collect.socket_url)
        return f"ws{self.base_url.removeprefix('http')}/ws/api/v2"

    @property
    def history_url(self) -> str:
        """The history host without a slash at its end."""
        if self.history_host is not None:
            return str(self.history_host).rstrip("/")
        if self.base_url == "https://www.deribit.com":
            return "https://history.deribit.com"
        return f"{self.base_url}/history"


def load_settings(config: Path | None = None, **flags: Any) -> Settings:
    """Return the settings; a flag that is None was not given.

    Raises
    ------
    UsageError
        If the file is missing or a value is not what its field expects.
    """
    if config is not None and not config.is_file():
        message = f"no configuration file {config}"
        raise UsageError(message)

    class FileSettings(Settings):
        model_config = SettingsConfigDict(toml_file=config or CONFIG_FILE)

    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return FileSettings(**given)
    except ValidationError as error:
        raise UsageError(_told(error)) from error
    except SettingsError as error:
        variable = no_json(error, os.environ) or str(error)
        message = f'{variable} is no JSON: a list is written ["one", "two"] in the environment'
        raise UsageError(message) from error
    except ValueError as error:
        message = f"{config or CONFIG_FILE} is not valid TOML: {error}"
        raise UsageError(message) from error


def _told(error: ValidationError) -> str:
    """Return what is wrong with the first setting that is, in a line without a secret.

    What stands at a name nobody knows may be a secret, too, and so may what is in a table.
    """
    first, *others = error.errors()
    where = _field_of(first["loc"])
    name = ".".join(str(part) for part in where)
    if first["type"] == "extra_forbidden":
        return f"setting {name}: there is no such setting{_nearest(where)}"
    if first["type"] == "model_type" and where[:1] == ("keep",) and len(where) > 1:
        return f"setting {name}: no such setting, and no table [{name}]{_nearest(where)}"
    said = [one["msg"] for one in (first, *others) if _field_of(one["loc"]) == where]
    is_hidden = name in SECRETS or (name in Settings.model_fields and _is_table(name))
    is_hidden |= "@" in str(first["input"]) and "://" in str(first["input"])
    shown = "***" if is_hidden else repr(first["input"])
    return f"setting {name} = {shown}: {', or '.join(dict.fromkeys(said))}"


def _field_of(where: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return which setting an error is of, without the kind of value it is no example of."""
    return tuple(part for part in where if not _KIND.match(str(part)))


def _is_table(name: str) -> bool:
    return isinstance(Settings.model_fields[name].default, BaseModel)


def no_json(error: SettingsError, environment: Mapping[str, str]) -> str | None:
    """Return the variable of the environment that was to be read as JSON, and is none.

    The error names no more than the table a setting is in; what it comes from knows the text.
    """
    text, field = getattr(error.__cause__, "doc", None), _FIELD.search(str(error))
    table = f"{PREFIX}{field[1]}".upper() if field else PREFIX
    found = (name for name, value in environment.items() if value == text)
    return next((name for name in sorted(found) if name.upper().startswith(table)), None)


def _nearest(where: tuple[int | str, ...]) -> str:
    """Return which setting may be meant by a name there is none of; nothing where there is one."""
    model: Any = Settings
    for part in where[:-1]:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return ""
        field = model.model_fields.get(str(part))
        model = field.annotation if field else KeepOwn
    is_model = isinstance(model, type) and issubclass(model, BaseModel)
    known = model.model_fields if is_model else {}
    if not known or where[-1] in known:
        return ""
    near = difflib.get_close_matches(str(where[-1]), known, n=2)
    return f"; nearest: {', '.join(near)}" if near else f"; there are: {', '.join(known)}"
