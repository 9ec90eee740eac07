"""`PipelineConfig`: everything a run needs to know."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, PositiveInt, ValidationError, field_validator

from raypipe.config.base import Frozen
from raypipe.config.engine import EngineConfig
from raypipe.config.files import merge_settings, read_settings
from raypipe.config.insights.analysis import AnalysisConfig
from raypipe.config.lines import line_of
from raypipe.config.models import ModelsConfig
from raypipe.config.processing import ProcessingConfig
from raypipe.config.quality import ValidationConfig
from raypipe.config.read import FormatName, ReadOptions
from raypipe.config.steps.mistakes import say_step
from raypipe.config.storage import StorageConfig
from raypipe.config.write import WriteOptions
from raypipe.errors import ConfigError


def _place(value: str | Path) -> str | Path:
    """A path, but for the address of a bucket: a path would lose one of its slashes."""
    return Path(value) if isinstance(value, str) and "://" not in value else value


OutputDir = Annotated[str | Path, AfterValidator(_place)]
"""A folder, or the address of a bucket as text."""


class DashboardConfig(Frozen):
    """What the dashboard shows."""

    max_columns: PositiveInt = 60
    """Columns with a chart of their own; further ones stand in the table only."""
    max_table_rows: PositiveInt = 100
    """First rows shown as a table."""
    max_points: PositiveInt = 2_000
    """Bound on raw points in any chart."""


class PipelineConfig(Frozen):
    """Everything a run needs to know. The first 17 names are those of the older platform."""

    data_source: str | Path
    """A file, a folder, or a pattern such as data/*.csv; also in a bucket, as s3://bucket/data/*.csv; a
    folder with a Delta table; or a database, as sqlite:///file.db or postgresql://user@host/db."""
    data_format: FormatName | None = None
    """None: by what the files hold."""
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
    ml_enabled: bool = False
    """Learn models of the target, as `models` says; wants a target and the pip extra `ml`, and takes seconds or
    minutes."""
    ml_time_limit: PositiveInt = 120
    """Seconds for the models, all of them."""
    generate_dashboard: bool = True
    """Draw `dashboard.html`."""
    dashboard_theme: Literal["auto", "light", "dark", "corporate", "enterprise"] = "light"
    """auto follows the reader's system."""
    dashboard_title: str | None = None
    """None makes one from the name of the source."""
    output_dir: OutputDir = Path("output")
    """Each run makes a folder of its own in it; also in a bucket, as s3://bucket/runs."""
    save_intermediate: bool = False
    """Write the processed rows to `processed/`, in the form that `write` says; Parquet unless it says so."""
    export_formats: tuple[Literal["html"], ...] = ("html",)
    """Formats of the dashboard; this version writes HTML."""

    seed: int = 42
    """Of everything that is drawn at random."""
    run_id: str | None = None
    """Name of the run and its folder; None makes one from the time."""
    engine: EngineConfig = EngineConfig()
    validation: ValidationConfig = ValidationConfig()
    processing: ProcessingConfig = ProcessingConfig()
    analysis: AnalysisConfig = AnalysisConfig()
    models: ModelsConfig = ModelsConfig()
    dashboard: DashboardConfig = DashboardConfig()
    storage: StorageConfig = StorageConfig()
    write: WriteOptions = WriteOptions()

    @field_validator("export_formats", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @classmethod
    def of(cls, values: dict[str, Any], origin: str = "config", file: str | Path | None = None) -> Self:
        """From plain values; what is wrong with them is told all at once, with its line where they come from a file.

        Raises
        ------
        ConfigError
            Names `origin`, each setting at fault, what it got, and the nearest name for one that does not exist.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            found = "; ".join(_in_line(file, item["loc"]) + _say(cls, dict(item)) for item in error.errors())
            raise ConfigError(f"{origin}: {found}") from error

    @classmethod
    def load(cls, path: str | Path, **overrides: Any) -> Self:
        """From a YAML or TOML file; `overrides` win. Relative paths inside count from the working folder."""
        values = read_settings(path)
        return cls.of(merge_settings(values, overrides), origin=str(path), file=path)


def _in_line(file: str | Path | None, place: tuple[int | str, ...]) -> str:
    line = line_of(file, place) if file is not None else None
    return f"line {line}: " if line is not None else ""


def _say(model: type[BaseModel], problem: dict[str, Any]) -> str:
    in_step = say_step(problem)
    if in_step is not None:
        return in_step
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
