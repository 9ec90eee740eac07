"""The words below a field are there for whoever asks, and cost nothing at the start."""

from __future__ import annotations

from pydantic import Field, create_model

from raypipe.cli.template import template
from raypipe.config import EngineConfig, Frozen, PipelineConfig, ReadOptions
from raypipe.config.texts import DescribedJsonSchema, field_texts


class Parent(Frozen):
    first: int = 1
    """What the parent
    says."""
    second: int = Field(2, alias="deux", description="given outright")
    third: int = 3


class Child(Parent):
    first: int = 5
    fourth: Parent | None = None
    """Another one."""


def test_the_text_below_a_field_belongs_to_it_and_is_inherited() -> None:
    assert field_texts(Child) == {
        "first": "What the parent\nsays.", "second": "given outright", "fourth": "Another one.",
    }  # fmt: skip


def test_every_setting_of_the_engine_has_a_text() -> None:
    assert set(field_texts(EngineConfig)) == set(EngineConfig.model_fields)


def test_a_model_without_source_has_the_texts_that_it_was_given() -> None:
    made = create_model("Made", __base__=Frozen, one=(int, Field(1, description="the one")), two=(int, 2))
    assert field_texts(made) == {"one": "the one"}


def test_a_json_schema_bears_the_texts_under_the_names_that_a_file_uses() -> None:
    schema = Child.model_json_schema(by_alias=True, schema_generator=DescribedJsonSchema)
    assert schema["properties"]["deux"]["description"] == "given outright"
    assert schema["properties"]["fourth"]["description"] == "Another one."
    assert schema["$defs"]["Parent"]["properties"]["first"]["description"] == "What the parent\nsays."


def test_the_config_file_that_init_writes_tells_what_each_setting_means() -> None:
    written = template("x.csv", {"delimiter": ";"})
    words = " ".join(written.replace("#", " ").split())
    settings = (PipelineConfig, EngineConfig, ReadOptions)
    texts = [text for model in settings for text in field_texts(model).values()]
    assert not [text for text in texts if " ".join(text.replace("#", " ").split()) not in words]
