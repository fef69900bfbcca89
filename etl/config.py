"""Settings of a run: flags over environment over deribit-lake.toml over defaults."""

from pathlib import Path
from typing import Any

from pydantic import Field, HttpUrl, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from etl.errors import UsageError

CONFIG_FILE = Path("deribit-lake.toml")


class Settings(BaseSettings):
    """Everything a run can be told; each field is also ``DERIBIT_LAKE_<FIELD>``."""

    model_config = SettingsConfigDict(
        env_prefix="DERIBIT_LAKE_",
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
        shown = "***" if name == "dsn" else repr(first["input"])
        message = f"setting {name} = {shown}: {first['msg']}"
        raise UsageError(message) from error
    except ValueError as error:
        message = f"{config or CONFIG_FILE} is not valid TOML: {error}"
        raise UsageError(message) from error
