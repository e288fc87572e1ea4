"""Settings from the environment and `.env`. No other module reads the environment.

Units and effects are in `docs/reference.md`.
"""

import json
import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AnyHttpUrl,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_serializer,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from hewston_bff.api_keys import parse_api_keys
from hewston_bff.events.pattern import Pattern
from hewston_bff.events.streams_setting import parse_streams
from hewston_bff.setting_types import (
    Bytes,
    Count,
    CountOrNone,
    DashboardNames,
    JobTypes,
    Networks,
    Origins,
    Patterns,
    Port,
    RedisKey,
    Seconds,
    ServiceAddress,
    Services,
    check_redis_address,
    shown_url,
)

_URL = TypeAdapter(AnyHttpUrl)
_SECRETS = {
    *("bff_backend_token", "redis_url", "bff_bus_url", "bff_services", "bff_jobs_url"),
    *("bff_mcp_url", "bff_mcp_username", "bff_mcp_password"),
}
_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_OWN_NAMES = {"backend_api", "redis", "catalog"}
"""What `/api/v1/health` calls what is no service of this list."""
_TRUE = {"1", "true", "yes", "on", "y", "t"}


class SettingsError(Exception):
    """Invalid settings; the text names each variable and what it accepts."""


class Settings(BaseSettings):
    """All settings, frozen. Field names are the names of the variables in lower case."""

    model_config = SettingsConfigDict(
        frozen=True, env_file=".env", extra="ignore", validate_default=True
    )

    hewston_backend_url: str = "http://127.0.0.1:8000"
    bff_host: str = "127.0.0.1"
    bff_port: Port = 8001
    bff_backend_timeout: Seconds = 30.0
    bff_backend_breaker_failures: Count = 5
    bff_backend_breaker_seconds: Seconds = 2.0
    bff_request_bytes: Bytes = 1 << 20
    bff_trusted_proxies: Networks = ()
    bff_rate_aggregated_per_minute: CountOrNone = 600
    bff_rate_proxied_per_minute: CountOrNone = 3_000
    bff_backend_token: SecretStr | None = None
    bff_event_loop: Literal["asyncio", "uvloop"] = "asyncio"
    bff_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    bff_log_format: Literal["json", "console"] = "json"
    bff_environment: str = "development"
    bff_cors_origins: Origins = ("http://127.0.0.1:5173", "http://localhost:5173")
    bff_public_origins: Origins = ()
    bff_feature_chart_aggregation: bool = True
    bff_feature_run_aggregation: bool = True
    bff_feature_websocket_proxy: bool = True
    bff_features_file: Path | None = None
    bff_console_enabled: bool = True
    bff_upstream_transport: Literal["auto", "ws", "sse"] = "auto"
    hewston_catalog_path: Path | None = None
    hewston_data_dir: Path | None = None
    redis_url: Annotated[str, Field(repr=False)] = "redis://localhost:6379"
    bff_redis_enabled: bool = False
    bff_redis_ttl_chart: Seconds = 300.0
    bff_redis_ttl_run: Seconds = 60.0
    bff_cache_bytes: Bytes = 64 << 20

    bff_hub_log_bytes: Bytes = 512 << 20
    bff_hub_cache_bytes: Bytes = 64 << 20
    bff_hub_linger_seconds: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    bff_hub_floods: Count = 2
    bff_hub_backoff_base_seconds: Seconds = 0.5
    bff_hub_backoff_cap_seconds: Seconds = 20.0
    bff_hub_healthy_after_seconds: Seconds = 30.0
    bff_hub_connect_seconds: Seconds = 35.0
    bff_hub_load_seconds: Seconds = 10.0
    bff_hub_silence_seconds: Seconds = 60.0
    bff_hub_upstream_message_bytes: Bytes = 1 << 20
    bff_hub_access_fresh_seconds: Seconds = 30.0
    bff_hub_access_stale_seconds: Seconds = 600.0
    bff_hub_admission_seconds: Seconds = 2.0

    bff_ws_subscriptions: Count = 128
    bff_ws_message_bytes: Bytes = 65_536
    bff_ws_messages_per_second: Count = 50
    bff_ws_sockets_per_address: Count = 2_000
    bff_ws_sockets: Count = 10_000
    bff_ws_control_lane_messages: Count = 256
    bff_ws_buffer_bytes: Bytes = 65_536
    bff_ws_heartbeat_seconds: Seconds = 5.0
    bff_ws_ping_seconds: Seconds = 25.0
    bff_ws_dead_after_seconds: Seconds = 60.0
    bff_ws_stalled_after_seconds: Seconds = 30.0
    bff_ws_subscribe_within_seconds: Seconds = 10.0
    bff_ws_close_seconds: Seconds = 2.0
    bff_shutdown_seconds: Seconds = 10.0

    bff_api_keys_file: Path | None = None
    bff_debug: bool = False
    bff_bus_url: Annotated[str | None, Field(repr=False)] = None
    redis_host: str | None = None
    redis_port: Annotated[int, Field(ge=1, le=65_535)] = 6_379
    redis_db: Annotated[int, Field(ge=0, le=65_535)] = 0
    bff_bus_streams: str = "nautilus-streams"
    bff_bus_prefix_topic: bool = True
    bff_bus_deny: Patterns = ("commands.*",)
    bff_bus_latest: Patterns = (
        *("data.quotes.*", "data.trades.*", "data.bars.*", "data.book.snapshots.*"),
        *("data.status.*", "ticks:*", "system:*"),
    )
    bff_bus_heartbeat: str = "health:heartbeat"
    bff_bus_ring_bytes: Bytes = 64 << 20
    bff_bus_matches: Count = 10_000
    bff_bus_payload_bytes: Bytes = 1 << 20
    bff_services: Services = ()
    bff_mcp_url: str | None = None
    bff_mcp_username: str | None = None
    bff_mcp_password: SecretStr | None = None
    bff_mcp_orders: bool = False
    bff_jobs_url: Annotated[str | None, Field(repr=False)] = None
    bff_jobs_queue: RedisKey = "jobs:queue"
    bff_jobs_hash_prefix: RedisKey = "job:"
    bff_jobs_updates: RedisKey = "jobs:updates"
    bff_jobs_types: JobTypes = ("suggestion", "backtest", "pattern_scan", "sentiment_analysis")
    bff_jobs_queue_limit: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    bff_jobs_payload_bytes: Annotated[int, Field(ge=2, le=16 << 20)] = 65_536
    bff_jobs_updates_kept: Annotated[int, Field(ge=1_000, le=10_000_000)] = 100_000
    bff_jobs_keep_seconds: Annotated[int, Field(ge=60, le=366 * 86_400)] = 7 * 86_400
    bff_jobs_key_seconds: Annotated[int, Field(ge=1, le=366 * 86_400)] = 86_400

    @classmethod
    def from_env(cls, **overrides: object) -> "Settings":
        """The settings of this process; `overrides`, named like the fields, win.

        Raises:
            SettingsError: a value is invalid.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(**given)  # type: ignore[arg-type]  # checked by the model
        except ValidationError as exc:
            lines = [
                f"{str(error['loc'][0]).upper()}: {error['msg']} (got {error['input']!r})"
                if str(error["loc"][0]) not in _SECRETS
                else f"{str(error['loc'][0]).upper()}: {error['msg']}"
                for error in exc.errors()
            ]
            raise SettingsError("\n".join(lines)) from exc

    @field_validator("bff_debug", mode="before")
    @classmethod
    def _is_true_in_words(cls, value: object) -> object:
        # `DEBUG` belongs to everybody: what it says to others must not keep us from starting.
        return value.strip().lower() in _TRUE if isinstance(value, str) else value

    @field_validator("bff_services", mode="before")
    @classmethod
    def _split_services(cls, value: object) -> object:
        if isinstance(value, str):
            pairs = (part.partition("=") for part in value.split(",") if part.strip())
            return tuple((name.strip(), url.strip()) for name, _, url in pairs)
        return value

    @field_validator("bff_services")
    @classmethod
    def _are_services(cls, value: tuple[ServiceAddress, ...]) -> tuple[ServiceAddress, ...]:
        names = [name for name, _ in value]
        for number, (name, url) in enumerate(value, start=1):
            if not _SERVICE_NAME.fullmatch(name) or name in _OWN_NAMES or names.count(name) > 1:
                msg = f"service {number}: must have a name of its own, letters, digits, - and _"
                raise ValueError(msg)
            try:
                _URL.validate_python(url)
            except ValidationError as exc:
                # Not quoted: it may hold a password.
                msg = f"service {number}: must be name=URL, with an http or https address"
                raise ValueError(msg) from exc
        return value

    @field_serializer("bff_services")
    def _without_passwords(self, value: tuple[ServiceAddress, ...]) -> str:
        return ",".join(f"{name}={shown_url(url)}" for name, url in value)

    @field_validator("bff_mcp_url", "bff_mcp_username", "bff_mcp_password", mode="before")
    @classmethod
    def _blank_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("bff_mcp_url")
    @classmethod
    def _is_plain_url(cls, value: str | None) -> str | None:
        return None if value is None else cls._is_url(value)

    @field_validator("bff_api_keys_file", mode="before")
    @classmethod
    def _names_a_file(cls, value: object) -> object:
        # Unset it would open what it shall guard.
        if value == "":
            raise ValueError("must name a file: unset it to do without API keys")
        return value

    @field_validator("bff_api_keys_file")
    @classmethod
    def _has_valid_keys(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                parse_api_keys(value.read_bytes())
            except OSError as exc:
                msg = f"can't be read ({type(exc).__name__})"
                raise ValueError(msg) from exc
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The usual ones, in the usual order, and a dashboard's names after them."""
        usual = (init_settings, env_settings, dotenv_settings, file_secret_settings)
        return (*usual, DashboardNames(settings_cls))

    @field_validator(
        *("hewston_catalog_path", "hewston_data_dir", "bff_bus_url", "bff_jobs_url", "redis_host"),
        mode="before",
    )
    @classmethod
    def _blank_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("hewston_data_dir")
    @classmethod
    def _has_its_extra(cls, value: Path | None) -> Path | None:
        if value is not None and find_spec("pyarrow") is None:
            raise ValueError("needs the extra `artifacts`: pip install 'hewston-bff[artifacts]'")
        return value

    @field_validator("bff_event_loop")
    @classmethod
    def _has_its_loop(cls, value: str) -> str:
        if value == "uvloop" and find_spec("uvloop") is None:
            raise ValueError("needs the extra `uvloop`: pip install 'hewston-bff[uvloop]'")
        return value

    @field_validator("bff_trusted_proxies", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("bff_jobs_types", mode="before")
    @classmethod
    def _split_types(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("bff_cors_origins", "bff_public_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str) and value.lstrip().startswith("["):
            # A dashboard's list.
            value = ",".join(str(origin) for origin in json.loads(value))
        if isinstance(value, str):
            return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
        return value

    @field_validator("hewston_backend_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        url = _URL.validate_python(value)
        if url.query or url.fragment or url.username:
            raise ValueError("must be an http or https address without query, fragment or user")
        return value.rstrip("/")

    @field_validator("redis_url", "bff_bus_url", "bff_jobs_url")
    @classmethod
    def _is_redis_url(cls, value: str | None) -> str | None:
        if value is not None:
            check_redis_address(value)
        return value

    @field_serializer("redis_url", "bff_bus_url", "bff_jobs_url")
    def _without_password(self, value: str | None) -> str | None:
        return None if value is None else shown_url(value)

    @field_validator("redis_port", mode="before")
    @classmethod
    def _port_of_address(cls, value: object) -> object:
        # Kubernetes sets REDIS_PORT=tcp://10.0.0.1:6379 if there is a service called redis.
        return value.rpartition(":")[2] if isinstance(value, str) and "://" in value else value

    @field_validator("bff_bus_streams")
    @classmethod
    def _names_streams(cls, value: str) -> str:
        parse_streams(value, has_prefix_topic=True)
        return value

    @field_validator("bff_bus_deny", "bff_bus_latest", mode="before")
    @classmethod
    def _split_patterns(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("bff_bus_deny", "bff_bus_latest")
    @classmethod
    def _are_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            Pattern(text)
        return value

    @field_validator("bff_bus_heartbeat")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        if value:
            Pattern(value)
        return value

    @property
    def bus_url(self) -> str | None:
        """Where the message bus is, with its password; None if it is off."""
        if self.bff_bus_url is not None or self.redis_host is None:
            return self.bff_bus_url
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{host}:{self.redis_port}/{self.redis_db}"

    @property
    def allowed_origins(self) -> frozenset[str]:
        """The configured origins that may open a stream: those of CORS, and of our own pages."""
        own = self.bff_public_origins or tuple(
            f"http://{host}:{self.bff_port}" for host in ("127.0.0.1", "localhost", "[::1]")
        )
        return frozenset(self.bff_cors_origins) | frozenset(own)


def unknown_variables(
    environ: Mapping[str, str] = os.environ, env_file: Path = Path(".env")
) -> list[str]:
    """Names of `BFF_…` variables, set in `environ` or `env_file`, that are no settings."""
    names = set(environ)
    if env_file.is_file():
        lines = env_file.read_text(encoding="utf-8", errors="replace").splitlines()
        names |= {
            line.split("=")[0].removeprefix("export ").strip() for line in lines if "=" in line
        }
    known = {field.upper() for field in Settings.model_fields}
    return sorted(name for name in names if name.startswith("BFF_") and name.upper() not in known)
