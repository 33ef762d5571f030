"""Every setting, in one typed class; `docs/settings.md` is the same table for people."""

import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from recsys.errors import ConfigError

PREFIX = "FRESHET_"


class ConfigFile(PydanticBaseSettingsSource):
    """The TOML file named by FRESHET_CONFIG; the environment wins over it."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        path = os.environ.get(f"{PREFIX}CONFIG", "")
        if not path:
            return {}
        try:
            with open(path, "rb") as file:
                return tomllib.load(file)
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"FRESHET_CONFIG names {path!r}, which cannot be read: {error}.") from error


def _split(value: object) -> object:
    """A comma-separated variable as a tuple; a TOML list as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CommaSeparated = Annotated[tuple[str, ...], NoDecode]
Weight = Annotated[float, Field(ge=-1000.0, le=1000.0, allow_inf_nan=False)]
"""Beyond a thousand one deed would drown a whole history, and in the end the arithmetic of a fit."""


class Settings(BaseSettings):
    """`FRESHET_TOPIC_PREFIX` sets `topic_prefix`, and so on; frozen once read."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    broker: str = "embedded:"
    """`embedded:`, `embedded:///PATH` (a folder), or `kafka://host:9092[;kafka://host2:9092]`."""
    redis: str = "embedded:"
    """`embedded:`, `redis://…`, `rediss://…` or `unix://…`."""
    host: str = "127.0.0.1"
    """The gateway's address."""
    port: int = Field(default=8000, ge=0, le=65535)
    """The gateway's port; 0 takes a free one."""
    data_dir: Path = Path("./freshet-data")
    """Snapshots, models, the embedded log."""
    topic_prefix: str = Field(default="", pattern=r"^[a-zA-Z0-9._-]{0,64}$")
    """Put before each topic, the Faust app ids, each Redis key and channel."""
    partitions: int = Field(default=8, ge=1, le=1024)
    """Of the topics that are keyed by user or product."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")
    """Where networks run."""
    image_encoder: str = "bundled"
    """`bundled`, `onnx` (the same in ONNX Runtime, extra `onnx`), `resnet50`, `clip:NAME`, `none`, or a dotted path to
    a class."""
    text_encoder: str = "bundled"
    """`bundled`, `onnx` (MiniLM in ONNX Runtime, extra `onnx`), `bert:NAME`, `sentence:NAME`, `clip:NAME`, `none`, or a
    dotted path."""
    api_keys: CommaSeparated = ()
    """`role:key` pairs, roles `shop`, `reader`, `admin`; empty is open, on a loopback host only."""
    config: str = ""
    """A TOML file with any of these, in lower case without the prefix."""
    media_dir: Path | None = None
    """The folder for pictures given by path."""
    image_hosts: CommaSeparated = ()
    """Hosts and networks besides public addresses from which pictures may be fetched."""
    kafka_security: Literal["plaintext", "ssl", "sasl_ssl"] = "plaintext"
    """How to talk to Kafka."""
    kafka_username: str = ""
    """For `sasl_ssl` (SCRAM-SHA-512)."""
    kafka_password: str = Field(default="", repr=False)
    """For `sasl_ssl`."""
    kafka_ca: Path | None = None
    """A file with the authority that signed the brokers' certificates."""
    status_port: int | None = Field(default=None, ge=0, le=65535)
    """`/healthz`, `/readyz` and `/metrics` of a worker or trainer."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is worth a line in the log."""
    train_min_events: int = Field(default=1000, ge=1)
    """The first fit happens by itself at this many events."""
    train_interval_s: float = Field(default=600.0, gt=0)
    """The longest time between two fits while new events come."""
    train_factors: int = Field(default=64, ge=1, le=512)
    """Length of the factors that ALS learns."""
    ranker: Literal["linear-2", "blend-1"] = "linear-2"
    """What orders a list: learned weights, or the fixed blend that was there before."""
    top_k: int = Field(default=50, ge=1, le=1000)
    """Items in each list in Redis and on the topic."""
    diversity: float = Field(default=0.0, ge=0.0, lt=1.0)
    """How much a list prefers what is unlike the items before; 0: score alone; 0.1 costs 1 % of hits, 0.3 6 %."""
    near_duplicates: float = Field(default=0.0, ge=0.0, le=1.0)
    """Likeness of content (0.95: nearly the same) from which only the better of two is in a list; 0: both are."""
    most_per_category: int = Field(default=0, ge=0)
    """Items of one category, its whole path, in a list at most; 0: any number."""
    most_per_brand: int = Field(default=0, ge=0)
    """Items of one brand in a list at most; 0: any number."""
    list_rules: Annotated[tuple[Any, ...], NoDecode] = ()
    """The shop's own rules, JSON or an array of TOML tables: boost, bury, exclude by filter, pin; see lists.md."""
    experiment: Annotated[Any, NoDecode] = None
    """Variants of how lists are made, each for a share of the users, JSON or a TOML table; see lists.md."""
    history_size: int = Field(default=200, ge=1, le=2000)
    """Interactions kept for each user."""
    dead_letter_payloads: bool = False
    """Whether dead letters of a person's messages (clicks, activities, erasures) keep their bytes."""

    weight_impression: Weight = 0.0
    """Confidence that one interaction of this kind adds; below zero it is a dislike."""
    weight_view: Weight = 1.0
    weight_click: Weight = 2.0
    weight_add_to_cart: Weight = 6.0
    weight_purchase: Weight = 10.0
    weight_like: Weight = 5.0
    weight_share: Weight = 5.0
    weight_comment: Weight = 3.0
    weight_search: Weight = 0.0
    weight_hide: Weight = -5.0
    weight_dislike: Weight = -5.0
    weight_remove_from_cart: Weight = -3.0
    weight_return: Weight = -6.0

    seen_impression: bool = False
    """Whether an interaction of this kind keeps the product out of its user's lists."""
    seen_view: bool = False
    seen_click: bool = False
    seen_add_to_cart: bool = False
    seen_purchase: bool = True
    seen_like: bool = False
    seen_share: bool = False
    seen_comment: bool = False
    seen_search: bool = False
    seen_hide: bool = True
    seen_dislike: bool = True
    seen_remove_from_cart: bool = False
    seen_return: bool = False

    _split_lists = field_validator("api_keys", "image_hosts", mode="before")(_split)

    @field_validator("list_rules", mode="before")
    @classmethod
    def _known_rules(cls, value: object) -> object:
        if not value:
            return ()
        from recsys.shop_rules import parse_rules  # with numpy and more behind it, which few commands need

        try:
            return parse_rules(json.loads(value) if isinstance(value, str) else value)
        except ConfigError as error:
            raise ValueError(str(error)) from error

    @field_validator("experiment", mode="before")
    @classmethod
    def _known_experiment(cls, value: object) -> object:
        if not value:
            return None
        from recsys.experiments import parse_experiment

        rankers = get_args(cls.model_fields["ranker"].annotation)
        try:
            return parse_experiment(json.loads(value) if isinstance(value, str) else value, rankers)
        except ConfigError as error:
            raise ValueError(str(error)) from error

    @field_validator("broker")
    @classmethod
    def _known_broker(cls, value: str) -> str:
        if not value.startswith(("embedded:", "kafka://")):
            raise ValueError("must be embedded:, embedded:///PATH or kafka://host:port")
        return value

    @field_validator("redis")
    @classmethod
    def _known_redis(cls, value: str) -> str:
        if not value.startswith(("embedded:", "redis://", "rediss://", "unix://")):
            raise ValueError("must be embedded:, redis://…, rediss://… or unix://…")
        return value

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> "Settings":
        for pair in self.api_keys:
            role, _, key = pair.partition(":")
            if role not in {"shop", "reader", "admin"} or not key:
                raise ValueError("FRESHET_API_KEYS must be role:key pairs with the roles shop, reader or admin")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, ConfigFile(settings_cls)

    @property
    def is_embedded(self) -> bool:
        return self.broker.startswith("embedded:")

    @property
    def log_dir(self) -> Path:
        """The folder of the embedded log."""
        path = self.broker.removeprefix("embedded:").removeprefix("//")
        return Path(path) if path else self.data_dir

    @property
    def networks_dir(self) -> Path:
        """The folder of networks that were exported for another runtime than torch."""
        return self.data_dir / "networks"

    @property
    def kafka_bootstrap(self) -> list[str]:
        """`host:port` of each Kafka broker named."""
        return [part.strip().removeprefix("kafka://") for part in self.broker.split(";")]


def read_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment and the TOML file.

    Raises
    ------
    ConfigError
        One sentence for each value that is wrong, and for a variable with our prefix that names no setting.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            raise ConfigError(f"{name} names no setting of Freshet; see docs/settings.md for those there are.")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        parts = [_sentence(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors()]
        raise ConfigError("A setting is wrong: " + "; ".join(parts) + ".") from error


def _sentence(location: tuple[str | int, ...], kind: str, message: str) -> str:
    """What is wrong with a setting, by the name that it has where it stands."""
    message = message.removeprefix("Value error, ")
    if not location:
        return message
    key = str(location[0])
    file = os.environ.get(f"{PREFIX}CONFIG", "")
    if not file or PREFIX + key.upper() in os.environ:
        return f"{PREFIX}{'.'.join(map(str, location)).upper()}: {message}"
    where = f"{'.'.join(map(str, location))} in {file}"
    if kind != "extra_forbidden":
        return f"{where}: {message}"
    meant = key.lower().replace("-", "_").removeprefix(PREFIX.lower())
    hint = f"write {meant}" if meant in Settings.model_fields else "docs/settings.md has those there are"
    return f"{where} names no setting of Freshet; {hint}"
