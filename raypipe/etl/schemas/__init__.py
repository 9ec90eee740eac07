"""Schemas as values: converted, compared, merged, kept in a registry."""

from raypipe.etl.schemas.arrow import from_arrow, to_arrow
from raypipe.etl.schemas.conversion import Converted
from raypipe.etl.schemas.diff import Change, SchemaDiff, diff_schemas
from raypipe.etl.schemas.evolve import Evolved, evolve_schemas
from raypipe.etl.schemas.json_schema import from_json_schema, to_json_schema
from raypipe.etl.schemas.odcs import from_odcs, to_odcs
from raypipe.etl.schemas.pandera_schema import from_pandera, pandera_source, to_pandera
from raypipe.etl.schemas.pydantic_model import from_pydantic, pydantic_source, to_pydantic
from raypipe.etl.schemas.registry import SchemaRegistry

__all__ = [
    "Change",
    "Converted",
    "Evolved",
    "SchemaDiff",
    "SchemaRegistry",
    "diff_schemas",
    "evolve_schemas",
    "from_arrow",
    "from_json_schema",
    "from_odcs",
    "from_pandera",
    "from_pydantic",
    "pandera_source",
    "pydantic_source",
    "to_arrow",
    "to_json_schema",
    "to_odcs",
    "to_pandera",
    "to_pydantic",
]
