"""Compiled templates are kept as Python keeps compiled modules, and nothing but the right ones is believed."""

from __future__ import annotations

import sys
from importlib import resources

import pytest
from jinja2 import DictLoader, Environment, nodes

from raypipe.dashboard.compiled import CompiledTemplates
from raypipe.dashboard.shell import environment

SOURCE = "{{ a }} and {{ b }}"


def render(folder, source=SOURCE, settings="plain"):
    """A page from an environment of its own, as a new process would have it."""
    (folder / "page").write_text(source)
    made = Environment(
        loader=DictLoader({"page": source}),
        autoescape=True,
        bytecode_cache=CompiledTemplates(folder, settings),
    )
    return made.get_template("page").render(a="<a>", b=2)


def kept(folder):
    return sorted(folder.rglob("*.j2c*"))


@pytest.fixture(autouse=True)
def may_write(monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)


def test_a_template_is_compiled_once(tmp_path, monkeypatch):
    assert render(tmp_path) == "&lt;a&gt; and 2"
    assert [path.parent.name for path in kept(tmp_path)] == ["__pycache__"]
    monkeypatch.setattr(Environment, "compile", lambda *_, **__: pytest.fail("it was compiled again"))
    assert render(tmp_path) == "&lt;a&gt; and 2"


@pytest.mark.parametrize("change", [{"source": SOURCE + "!"}, {"settings": "other"}])
def test_another_text_or_setting_is_compiled_anew(tmp_path, change):
    render(tmp_path)
    before = kept(tmp_path)[0].read_bytes()
    render(tmp_path, **change)
    assert len(kept(tmp_path)) == 1
    assert kept(tmp_path)[0].read_bytes() != before


ASSETS = resources.files("raypipe.dashboard") / "assets"


@pytest.mark.parametrize("name", sorted(path.name for path in ASSETS.iterdir() if path.name.endswith(".j2")))
def test_no_template_has_a_filter_of_a_constant(name):
    page = environment()
    source, *_ = page.loader.get_source(page, name)
    for node in page.parse(source).find_all(nodes.Filter):
        with pytest.raises(nodes.Impossible):
            node.as_const(nodes.EvalContext(page, name))


@pytest.mark.parametrize("keep", [0, 10, 64, 80, -1])
def test_a_damaged_file_is_made_anew(tmp_path, keep):
    render(tmp_path)
    (path,) = kept(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:keep])
    assert render(tmp_path) == "&lt;a&gt; and 2"
    assert path.read_bytes() == whole


def test_a_changed_byte_is_seen(tmp_path):
    render(tmp_path)
    (path,) = kept(tmp_path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 37):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert render(tmp_path) == "&lt;a&gt; and 2"
        assert path.read_bytes() == whole


def test_nothing_is_written_where_python_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert render(tmp_path) == "&lt;a&gt; and 2"
    assert not kept(tmp_path)


def test_a_folder_that_cannot_be_written_is_no_matter(tmp_path):
    (tmp_path / "__pycache__").write_text("a file stands here")
    assert render(tmp_path) == "&lt;a&gt; and 2"
    assert not kept(tmp_path)


def test_the_place_is_pythons_own(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "elsewhere"))
    folder = tmp_path / "assets"
    folder.mkdir()
    render(folder)
    assert not kept(folder)
    assert len(kept(tmp_path / "elsewhere")) == 1
