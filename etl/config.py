"""Settings of a run: flags over environment over deribit-lake.toml over defaults."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AnyUrl, BaseModel, ConfigDict, Field, HttpUrl, UrlConstraints, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from etl.errors import UsageError

CONFIG_FILE = Path("deribit-lake.toml")
SECRETS = ("dsn", "collect.ping_url")
"""Settings that no message repeats."""
Kind = Literal["candles", "trades", "funding", "index", "dvol", "tickers", "marks", "quotes"]
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


class Settings(BaseSettings):
    """Everything a run can be told; each field is also ``DERIBIT_LAKE_<FIELD>``."""

    model_config = SettingsConfigDict(
        env_prefix="DERIBIT_LAKE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # a DSN may hold a password
    )

    root: Path = Field(Path("data"), description="folder of the lake")
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

    collect: Collect = Field(Collect(), description="what `collect` keeps, and when it rings")

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
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        shown = "***" if name in SECRETS else repr(first["input"])
        message = f"setting {name} = {shown}: {first['msg']}"
        raise UsageError(message) from error
    except ValueError as error:
        message = f"{config or CONFIG_FILE} is not valid TOML: {error}"
        raise UsageError(message) from error
