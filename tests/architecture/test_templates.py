"""Every template compiles in strict mode, and holds no script or style of its own."""

from __future__ import annotations

import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from chameleon.compiler import Compiler

from ovcadmin.views.rendering import TEMPLATES, Templates

FILES = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.pt"))
INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|hx-vals=.js:",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Templates:
    return Templates(tmp_path_factory.mktemp("templates"))


@pytest.mark.parametrize("name", FILES)
def test_a_template_compiles(name, compiled):
    assert compiled[name]


def test_the_next_process_loads_what_was_compiled(tmp_path, monkeypatch):
    name = "home/home.pt"
    assert Templates(tmp_path)[name]
    for kept in tmp_path.glob("*.py"):
        monkeypatch.delitem(sys.modules, kept.stem)
    monkeypatch.setattr(Compiler, "__init__", None)
    assert Templates(tmp_path)[name]


def test_one_is_compiled_at_a_time_also_when_another_template_loads_it(tmp_path, monkeypatch):
    """CPython 3.11 fails now and then when two threads make syntax trees at once."""
    within, met, compile_one = [], threading.Event(), Compiler.__init__

    def slowly(self, *args, **kwargs):
        within.append(self)
        if len(within) > 1:
            met.set()
        met.wait(0.2)  # the other thread would come in meanwhile
        compile_one(self, *args, **kwargs)
        within.remove(self)

    templates = Templates(tmp_path)
    loaded = templates["machines/snapshots.pt"]._loader("snapshot_rows.pt")
    monkeypatch.setattr(Compiler, "__init__", slowly)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda ask: ask(), [loaded.cook_check, lambda: templates["home/home.pt"]]))
    assert not met.is_set()


@pytest.mark.parametrize("name", FILES)
def test_a_template_needs_no_inline_script_or_style(name):
    assert INLINE.findall((TEMPLATES / name).read_text()) == []


@pytest.mark.parametrize("name", FILES)
def test_what_is_live_stays_in_its_place(name):
    """A change that comes while an element is fetched again is remembered by the element."""
    lines = (TEMPLATES / name).read_text().splitlines()
    assert [line for line in lines if "data-live=" in line and "outerHTML" in line] == []


def test_every_view_that_names_a_template_finds_it(views):
    named = {name for view in views for name in view["templates"] if name.endswith(".pt")}
    assert named
    assert named <= set(FILES)
