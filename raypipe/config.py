"""Settings that several modules share: frozen values with units in their names.

Validators touch no disk and no hardware; what needs those is checked when a run starts.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from raypipe.errors import ConfigError

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Frozen(BaseModel):
    """A value: never changes, compares by content, refuses names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def replace(self, **changes: Any) -> Self:
        """A copy with `changes`, validated again."""
        return type(self).model_validate({**dict(self), **changes})


def _pairs(labels: Any) -> Any:
    """A mapping as sorted pairs, which can be hashed."""
    return tuple(sorted(labels.items())) if isinstance(labels, Mapping) else labels


Labels = Annotated[
    tuple[tuple[str, str], ...], BeforeValidator(_pairs), PlainSerializer(dict, return_type=dict[str, str])
]
"""Given as a mapping, kept as sorted pairs."""


def _place(value: str | Path) -> str | Path:
    """A path, but for the address of a bucket: a path would lose one of its slashes."""
    return Path(value) if isinstance(value, str) and "://" not in value else value


OutputDir = Annotated[str | Path, AfterValidator(_place)]
"""A folder, or the address of a bucket as text."""


class Resources(Frozen):
    """What one worker of a stage reserves."""

    cpus: NonNegativeFloat = 1.0
    gpus: NonNegativeFloat = 0.0
    """GPUs; below 1 shares a device."""
    memory_gib: PositiveFloat | None = None
    """Heap to reserve in GiB; None leaves it to Ray."""
    labels: Labels = ()
    """Labels that the node must have, e.g. {"ray.io/market-type": "spot"} or {"ray.io/accelerator-type": "A100"}."""


class ReadOptions(Frozen):
    """How to read a source; what is None is found by looking at the data."""

    delimiter: str | None = None
    """One ASCII character between fields; None looks."""
    quote: str | None = '"'
    """None: the file has no quoting."""
    encoding: str | None = None
    """Name of a Python codec; None looks."""
    header: bool | None = None
    """Whether the first line names the columns; None looks."""
    skip_rows: NonNegativeInt = 0
    """Lines before the header."""
    max_rows: PositiveInt | None = None
    """Stop after this many rows of the source."""
    null_values: tuple[str, ...] = ("", "NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", "#N/A")
    """Texts that mean "no value", after trimming."""
    dtypes: dict[str, str] = Field(default_factory=dict)
    """Column -> type, for columns whose type is known: int64, float64, boolean, text, date, datetime."""
    columns: tuple[str, ...] | None = None
    """Read only these."""


class ValidationConfig(Frozen):
    """Thresholds of the quality rules, the schema to hold the data to, and what to do with rows at fault."""

    max_duplicate_share: Share = 0.10
    """Rows that repeat an earlier one, of all rows; more is a warning."""
    max_null_share: Share = 0.50
    """Missing values, of the rows of a column; more is a warning."""
    max_unique_text_share: Share = 0.80
    """Different values, of the values of a text column; more is a warning."""
    min_categories: PositiveInt = 10
    """Text with fewer distinct values is suggested as a category."""
    max_outlier_share: Share = 0.05
    """Values beyond 1.5 IQR of the quartiles, of the values of a number column; more is a warning."""
    check_outliers: bool = True
    """Whether the rule of outliers runs."""
    schema_path: Path | None = None
    """YAML or JSON file with a DataSchema; see `raypipe.etl.rules.DataSchema`."""
    quarantine: bool = True
    """Set rows aside that break a row rule of the schema; False keeps them and reports."""
    max_bad_cell_share: Share = 0.01
    """A column keeps its type while at most this share of its values does not fit: those rows go to quarantine. Past it
    the column becomes text."""


class ProcessingConfig(Frozen):
    """Which cleaning steps run, in this order."""

    trim_text: bool = True
    """Strip white space around text; text that becomes empty becomes null."""
    parse_dates: bool = True
    """Turn text columns that hold dates into dates, where at least `min_date_share` of values parse."""
    min_date_share: Share = 0.99
    """Of the values of a text column, those that one way of writing dates must read."""
    drop_empty_columns: bool = True
    """Drop columns without a value; never the target or the time column."""
    drop_empty_rows: bool = True
    """Drop rows without a value."""
    drop_duplicates: bool = False
    """Keep the first of rows that are equal in every column."""
    impute: dict[str, str] | Literal["none", "auto"] = "none"
    """auto: median for numbers, most frequent for text and booleans.
    Or column -> mean, median, mode, or constant:VALUE."""
    cap_outliers: bool | tuple[str, ...] = False
    """Clip numbers to [q25 - k IQR, q75 + k IQR]; True takes every number column but the target."""
    outlier_iqr_factor: PositiveFloat = 1.5
    """The k of `cap_outliers`."""


class EngineConfig(Frozen):
    """Where and how the plan runs."""

    engine: Literal["auto", "ray", "inline"] = "auto"
    """auto: sources under 16 MiB run in this process, everything else on Ray."""
    address: str | None = None
    """Ray cluster to connect to; None starts a private one on this machine."""
    workers: PositiveInt | None = None
    """Exactly so many workers a pool; None lets pools grow and shrink between the two bounds below."""
    min_workers: PositiveInt = 1
    """Workers that a pool never has less of while it has work."""
    max_workers: PositiveInt | None = None
    """Workers that a pool never has more of; None takes the CPUs of a private Ray, and as many as there is work for on
    a cluster."""
    idle_worker_s: PositiveFloat = 10.0
    """A worker with nothing to do for this long leaves its pool."""
    fuse: bool = True
    """False gives each stage a pool of its own."""
    block_rows: PositiveInt | None = None
    """Cut blocks to at most this many rows; None follows `block_mib`."""
    block_mib: PositiveFloat = 64.0
    """Target size of a block in memory, in MiB."""
    memory_gib: PositiveFloat | None = None
    """Budget for blocks held in the object store, in GiB; None takes half the store."""
    max_failed_share: Share = 0.01
    """Rows that make a stage fail go to quarantine up to this share of the rows read; past it the run fails."""
    max_task_retries: NonNegativeInt = 3
    """How often a call is tried again whose worker was lost."""
    call_timeout_s: PositiveFloat | None = None
    """A call that runs longer is stopped, and the rows that never end are found and set aside; None waits."""
    start_timeout_s: PositiveFloat = 1800.0
    """The run ends if no worker of a pool could be started for this long."""
    checkpoint_s: PositiveFloat = 5.0
    """What is done is committed about so often, for `--resume`."""
    stall_warning_s: PositiveFloat = 30.0
    """Say which stage waits for what after this long without progress."""

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        if self.max_workers is not None and self.max_workers < self.min_workers:
            raise ValueError(f"min_workers is {self.min_workers}, more than max_workers ({self.max_workers})")
        return self


class DashboardConfig(Frozen):
    """What the dashboard shows."""

    max_columns: PositiveInt = 60
    """Columns with a chart of their own; further ones stand in the table only."""
    max_table_rows: PositiveInt = 100
    """First rows shown as a table."""
    max_points: PositiveInt = 2_000
    """Bound on raw points in any chart."""


class S3Config(Frozen):
    """Where S3 is; credentials come from the environment, `~/.aws` or the machine's role, never from here."""

    endpoint: str | None = None
    """URL of a server other than AWS, e.g. http://127.0.0.1:9000; None takes AWS_ENDPOINT_URL, else AWS."""
    region: str | None = None
    """None takes AWS_REGION or AWS_DEFAULT_REGION, else asks S3 where the bucket is."""
    anonymous: bool = False
    """Read public buckets without credentials."""


class GcsConfig(Frozen):
    """Where Google Cloud Storage is; credentials are the application default ones."""

    endpoint: str | None = None
    """URL of a server other than Google's; None takes STORAGE_EMULATOR_HOST, else Google's."""
    anonymous: bool = False
    """Read public buckets without credentials."""


class AzureConfig(Frozen):
    """Where Azure Blob Storage is; credentials come from AZURE_STORAGE_… variables or the default Azure chain."""

    account: str | None = None
    """Storage account, for addresses that do not name one; None takes AZURE_STORAGE_ACCOUNT."""
    blob_endpoint: str | None = None
    """URL of a blob service other than Azure's, e.g. http://127.0.0.1:10000."""
    dfs_endpoint: str | None = None
    """URL of its Data Lake service; None takes `blob_endpoint`."""


class StorageConfig(Frozen):
    """Buckets: where they are and how patiently they are asked. It holds no secret and travels to workers."""

    s3: S3Config = S3Config()
    gcs: GcsConfig = GcsConfig()
    azure: AzureConfig = AzureConfig()
    retries: NonNegativeInt = 5
    """How often a request that may pass, as under throttling or a cut connection, is tried again."""
    backoff_s: PositiveFloat = 0.2
    """Longest wait before the first retry; it doubles with each, up to 20 s, and a random share of it is waited."""
    connect_timeout_s: PositiveFloat = 5.0
    """For a connection."""
    request_timeout_s: PositiveFloat = 30.0
    """For an answer that does not move."""
    upload_every_s: PositiveFloat = 15.0
    """How often the log of a run that writes to a bucket is brought there."""


class PipelineConfig(Frozen):
    """Everything a run needs to know. The first 17 names are those of the older platform."""

    data_source: str | Path
    """A file, a folder, or a pattern such as data/*.csv; also in a bucket, as s3://bucket/data/*.csv."""
    data_format: Literal["csv", "parquet"] | None = None
    """None: by extension, checked against the content."""
    read_options: ReadOptions = ReadOptions()
    target_column: str | None = None
    """Column to explain by the others."""
    time_column: str | None = None
    """Column with dates or times, for the course over time."""
    business_context: str | None = None
    """Free text; words such as sales, revenue, marketing, operations choose what insights stress."""
    validate_data: bool = True
    """Run the rules of quality and of the schema."""
    strict_validation: bool = False
    """An error of validation fails the run, with exit code 3."""
    sample_size: PositiveInt | None = None
    """Rows to keep, drawn with `seed` while reading."""
    ml_enabled: bool = True
    """Kept for configs of the older platform; this version trains no models."""
    ml_time_limit: PositiveInt = 120
    """Seconds; as `ml_enabled`, without effect in this version."""
    generate_dashboard: bool = True
    """Draw `dashboard.html`."""
    dashboard_theme: Literal["auto", "light", "dark", "corporate", "enterprise"] = "light"
    """auto follows the reader's system."""
    dashboard_title: str | None = None
    """None makes one from the name of the source."""
    output_dir: OutputDir = Path("output")
    """Each run makes a folder of its own in it; also in a bucket, as s3://bucket/runs."""
    save_intermediate: bool = False
    """Write the processed rows to `processed/` as Parquet."""
    export_formats: tuple[Literal["html"], ...] = ("html",)
    """Formats of the dashboard; this version writes HTML."""

    seed: int = 42
    """Of everything that is drawn at random."""
    run_id: str | None = None
    """Name of the run and its folder; None makes one from the time."""
    engine: EngineConfig = EngineConfig()
    validation: ValidationConfig = ValidationConfig()
    processing: ProcessingConfig = ProcessingConfig()
    dashboard: DashboardConfig = DashboardConfig()
    storage: StorageConfig = StorageConfig()

    @field_validator("export_formats", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @classmethod
    def of(cls, values: dict[str, Any], origin: str = "config") -> Self:
        """From plain values; what is wrong with them is told all at once.

        Raises
        ------
        ConfigError
            Names `origin`, each setting at fault, what it got, and the nearest name for one that does not exist.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            found = "; ".join(_say(cls, dict(item)) for item in error.errors())
            raise ConfigError(f"{origin}: {found}") from error

    @classmethod
    def load(cls, path: str | Path, **overrides: Any) -> Self:
        """From a YAML or TOML file; `overrides` win. Relative paths inside count from the working folder."""
        values = read_settings(path)
        return cls.of(merge_settings(values, overrides), origin=str(path))


def read_settings(path: str | Path, wanted: str = "settings") -> dict[str, Any]:
    """Plain values of a YAML or TOML file; `wanted` says in an error what it should hold.

    Raises
    ------
    ConfigError
        If the file cannot be read, or holds no settings.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())  # YAML draws a picture over several lines
        kind = "TOML" if path.suffix == ".toml" else "YAML"
        raise ConfigError(f"{path}: not valid {kind}: {said}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds {type(values).__name__}; wanted {wanted}, one `name: value` a line")
    return values


def merge_settings(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, part by part.

    Examples
    --------
    >>> merge_settings({"engine": {"workers": 2, "fuse": False}}, {"engine": {"workers": 4}})
    {'engine': {'workers': 4, 'fuse': False}}
    """
    merged = dict(base)
    for name, value in over.items():
        known = merged.get(name)
        merged[name] = merge_settings(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _say(model: type[BaseModel], problem: dict[str, Any]) -> str:
    place = ".".join(str(step) for step in problem["loc"])
    if problem["type"] == "extra_forbidden":
        names = _names_at(model, problem["loc"][:-1])
        close = difflib.get_close_matches(str(problem["loc"][-1]), names, n=1)
        return f"there is no setting {place!r}." + (f" Did you mean {close[0]!r}?" if close else "")
    return f"{place}: got {problem.get('input')!r}; {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _names_at(model: type[BaseModel], steps: tuple[Any, ...]) -> list[str]:
    """Settings of the nested part that `steps` lead to."""
    for step in steps:
        field = model.model_fields.get(str(step))
        kind = getattr(field, "annotation", None)
        kinds = (kind, *get_args(kind))
        nested = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)
