"""Schemas under their names, in versions that never change."""

from __future__ import annotations

import pytest

from raypipe.errors import ConfigError
from raypipe.etl.rules import ColumnSchema, DataSchema
from raypipe.etl.schemas import SchemaRegistry
from tests.hostile import NAMES


def people(version="1.0.0", **fields):
    return DataSchema(name="people", version=version, columns=(ColumnSchema(name="age", dtype="int16", **fields),))


def test_a_schema_comes_back_in_the_version_asked_for_or_the_newest(tmp_path):
    registry = SchemaRegistry(tmp_path / "schemas")
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        registry.register(people(version))
    assert registry.get("people").version == "1.10.0"
    assert registry.get("people", "1.2.0") == people("1.2.0")
    assert [(one.name, one.versions) for one in registry.list()] == [("people", ("1.2.0", "1.9.0", "1.10.0"))]


def test_a_version_never_changes(tmp_path):
    registry = SchemaRegistry(tmp_path)
    registry.register(people())
    assert registry.register(people()) == "1.0.0"
    with pytest.raises(ConfigError, match="is there with other content.*raise_version"):
        registry.register(people(nullable=False))


def test_the_next_version_says_what_changed(tmp_path):
    registry = SchemaRegistry(tmp_path)
    steps = [
        (people(), "1.0.0"),
        (people(description="in years"), "1.0.1"),
        (people(description="in years", semantic="number"), "1.1.0"),
        (people(nullable=False), "2.0.0"),
        (people(nullable=False), "2.0.0"),
    ]
    assert [registry.register(schema, raise_version=True) for schema, _ in steps] == [wanted for _, wanted in steps]


@pytest.mark.parametrize("name", [*(name for name in NAMES if name.strip() and len(name) < 60), "..", "a/../b", ".x"])
def test_a_name_may_be_anything_and_stays_in_the_folder(tmp_path, name):
    registry = SchemaRegistry(tmp_path / "in")
    registry.register(people().replace(name=name))
    assert registry.get(name).name == name
    assert [one.name for one in registry.list()] == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    registry.remove(name)
    assert registry.list() == ()


def test_one_version_or_all_can_be_removed(tmp_path):
    registry = SchemaRegistry(tmp_path)
    for version in ("1.0.0", "1.1.0"):
        registry.register(people(version))
    registry.remove("people", "1.0.0")
    assert registry.get("people").version == "1.1.0"
    with pytest.raises(ConfigError, match=r"no version '1.0.0'; it has '1.1.0'"):
        registry.remove("people", "1.0.0")
    registry.remove("people")
    with pytest.raises(ConfigError, match="no schema 'people'; there are: none"):
        registry.get("people")


@pytest.mark.parametrize(
    ("schema", "words"), [(people("1.0"), "three numbers"), (people().replace(name=" "), "no name for a schema")]
)
def test_what_cannot_be_kept_is_told(tmp_path, schema, words):
    with pytest.raises(ConfigError, match=words):
        SchemaRegistry(tmp_path).register(schema)


def test_a_file_of_a_later_format_is_refused(tmp_path):
    path = tmp_path / "s.yaml"
    people().save(path)
    assert path.read_text().startswith("schema_format: 1\n")
    path.write_text(path.read_text().replace("schema_format: 1", "schema_format: 2"))
    with pytest.raises(ConfigError, match="'schema_format'.*1"):
        DataSchema.load(path)
