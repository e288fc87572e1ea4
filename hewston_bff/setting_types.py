"""Types of settings, and where they come from besides our own variables."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from pydantic import Field
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from hewston_bff.protocol.ids import JOB_TYPE_PATTERN

Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Bytes = Annotated[int, Field(ge=1_024)]
CountOrNone = Annotated[int, Field(ge=0, le=1_000_000)]
Count = Annotated[int, Field(ge=1)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode]
Origins = Annotated[tuple[str, ...], NoDecode]
Patterns = Annotated[tuple[str, ...], NoDecode]
JobType = Annotated[str, Field(pattern=f"^{JOB_TYPE_PATTERN}$")]
JobTypes = Annotated[tuple[JobType, ...], NoDecode, Field(min_length=1)]
RedisKey = Annotated[str, Field(min_length=1, max_length=256)]
_REDIS_OPTIONS: Final = frozenset(
    {
        *("db", "protocol", "username", "password", "ssl_cert_reqs", "ssl_check_hostname"),
        *("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"),
    }
)
"""What the query of a Redis address may say."""
ServiceAddress = tuple[str, str]
"""Name and URL; the URL may hold a password."""
Services = Annotated[tuple[ServiceAddress, ...], NoDecode, Field(repr=False)]


def check_redis_address(value: str) -> None:
    """Check an address of a Redis; messages do not quote it, for it may hold a password.

    Raises:
        ValueError: it is none, or says what nobody understands.
    """
    try:
        url = urlsplit(value)
        is_address = url.scheme in {"redis", "rediss", "unix"} and url.port != 0
        options = {name for name, _ in parse_qsl(url.query, keep_blank_values=True)}
    except ValueError:
        is_address, options = False, set()
    if not is_address:
        raise ValueError("must be a redis, rediss or unix address")
    if not options <= _REDIS_OPTIONS:
        allowed = ", ".join(sorted(_REDIS_OPTIONS))
        msg = f"has an option that is not known: use {allowed}, or none"
        raise ValueError(msg)


def shown_url(value: str) -> str:
    """An address without user, password and query."""
    url = urlsplit(value)
    return urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path, "", ""))


class _DashboardVariables(BaseSettings):
    """Variables that a dashboard of the same message bus has already, under its own names."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    host: str | None = None
    port: str | None = None
    debug: str | None = None
    environment: str | None = None
    cors_origins: Annotated[str | None, NoDecode] = None
    nautilus_stream_key: str | None = None


_OURS = {
    "host": "bff_host",
    "port": "bff_port",
    "debug": "bff_debug",
    "environment": "bff_environment",
    "cors_origins": "bff_cors_origins",
    "nautilus_stream_key": "bff_bus_streams",
}


class DashboardNames(PydanticBaseSettingsSource):
    """The last source that is asked: whatever is set under a name of ours wins."""

    def get_field_value(
        self,
        field: FieldInfo,  # noqa: ARG002 - the base class asks for it
        field_name: str,
    ) -> tuple[None, str, bool]:
        """Nothing by field: they are read together."""
        return None, field_name, False

    def __call__(self) -> dict[str, str]:
        """The values, by our names."""
        given: dict[str, str] = _DashboardVariables().model_dump(exclude_none=True)
        return {_OURS[name]: value for name, value in given.items()}
