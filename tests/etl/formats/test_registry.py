"""The formats as a whole: names, options and what every one of them promises."""

from __future__ import annotations

from typing import get_args

import pytest

from raypipe.config import ReadOptions
from raypipe.config.read import FormatName
from raypipe.etl.formats.format import EVERYWHERE
from raypipe.etl.formats.registry import EXTENSIONS, FORMATS


def test_data_format_takes_the_names_of_all_formats() -> None:
    assert set(get_args(FormatName)) == set(FORMATS)


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_a_format_honours_options_that_there_are_and_those_of_every_format(format: object) -> None:
    honours = getattr(format, "honours", frozenset())
    assert honours <= set(ReadOptions.model_fields)
    assert honours >= EVERYWHERE - {"folder_columns", "file_column"}


def test_no_two_formats_claim_one_ending() -> None:
    endings = [end for format in FORMATS.values() for end in format.extensions]
    assert len(endings) == len(set(endings)) == len(EXTENSIONS)
