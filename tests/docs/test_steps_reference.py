import pytest

from tests.docs.steps_reference import PAGES, written


@pytest.mark.parametrize(("page", "tables"), PAGES, ids=lambda one: getattr(one, "name", ""))
def test_the_tables_of_steps_are_those_of_the_code(page, tables):
    wanted = written(page, tables)
    assert page.read_text(encoding="utf-8") == wanted, "out of date: python -m tests.docs.steps_reference writes it"
