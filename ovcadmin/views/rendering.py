"""Chameleon templates in strict mode, and the names that every template knows.

macros.layout       the macros of templates/macros/layout.pt, and so for every file there
url(route, ...)     path of a route: url('machine', id=7, _query={'tab': 'log'})
static_url(path)    path of a file of static/, with the version in it
csrf_token          for the hidden field of a form
user                the signed-in `Identity`, or None
may(privilege)      whether the context's privileges hold it
settings            the console's settings (copyright, ...)
deeds(page)         what the page offers, by ovc and the REST API (views/faces.py)
show                views/show.py: amounts, times
flashes()           messages left by the request before; telling them once uses them up
request, context    Pyramid's own
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from chameleon import PageTemplateFile
from chameleon.loader import ModuleLoader, TemplateLoader
from pyramid.settings import asbool

from ovcadmin.views import faces, show

PYRAMID_ONLY = {"view", "renderer_name", "renderer_info", "req", "get_csrf_token"}
"""Names that no template of ours needs; each one costs time at every macro that is used."""
PAUSE = 0.2
"""Seconds between two templates that are compiled beforehand."""
TEMPLATES = Path(__file__).parents[1] / "templates"


class OneAtATime(PageTemplateFile):
    """A template that is compiled while no other is, also when a `load:` expression asks for it.

    CPython 3.11 can fail ("recursion depth mismatch") when two threads make syntax trees at once.
    """

    _compiling = threading.RLock()

    def cook(self, body: str) -> None:
        with self._compiling:
            super().cook(body)


class Templates:
    """Our templates by name, compiled when first asked for.

    What was compiled is kept in `directory` under a digest of its text, of the names it knows and
    of every installed package's version, so the next process only loads it: all of them in 0.2 s
    instead of 7.
    """

    def __init__(self, directory: Path, *, reload: bool = False) -> None:
        self._lock = threading.Lock()
        self._reload = reload
        self._ready: dict[str, Any] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._kind = type("KeptTemplate", (OneAtATime,), {"loader": ModuleLoader(str(directory))})
        self._files = TemplateLoader(
            str(TEMPLATES),
            auto_reload=reload,
            strict=True,  # an expression that cannot be compiled is an error, used or not
            trim_attribute_space=True,
            enable_comment_interpolation=False,
        )

    def __getitem__(self, name: str) -> Any:
        # What is compiled waits for nothing that is being compiled.
        if name in self._ready:
            return self._ready[name]
        with self._lock:
            template: Any = self._files.load(name, self._kind)
            template.cook_check()
            if not self._reload:
                self._ready[name] = template
        return template

    def compile_all(self) -> None:
        """Compile what nobody asked for yet, with pauses in which readers are served."""
        for path in sorted(TEMPLATES.rglob("*.pt")):
            self[str(path.relative_to(TEMPLATES))]
            time.sleep(PAUSE)


class Macros:
    """The files of templates/macros by name."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def __getattr__(self, name: str) -> Any:
        return self._templates[f"macros/{name}.pt"].macros


class Renderer:
    """Pyramid renderer for `folder/name.pt`."""

    def __init__(self, info: Any) -> None:
        self._name = info.name
        self._templates = info.registry["templates"]

    def __call__(self, value: dict[str, Any], system: dict[str, Any]) -> str:
        request = system["request"]
        kept = {name: system[name] for name in system.keys() - PYRAMID_ONLY}
        names = {**_globals(request, system["context"], self._templates), **kept, **value}
        text: str = self._templates[self._name](**names)
        return text


class _Addresses:
    """`url(route, id=7)`; a list asks for the same few again and again."""

    def __init__(self, request: Any) -> None:
        self._make = request.route_path
        self._known: dict[tuple[str, int], str] = {}
        self.offered: dict[str, dict[str, Any]] = {}
        """The routes asked for that do something, with what stands for all of them alike."""

    def __call__(self, route: str, **parts: Any) -> str:
        if route in faces.TABLE:
            faces.note(self.offered, route, parts)
        if parts.keys() != {"id"}:
            made: str = self._make(route, **parts)
            return made
        key = (route, parts["id"])
        if key not in self._known:
            self._known[key] = self._make(route, **parts)
        return self._known[key]


def _globals(request: Any, context: Any, templates: Templates) -> dict[str, Any]:
    identity = request.identity
    privileges = getattr(context, "privileges", ())
    addresses = _Addresses(request)
    return {
        "macros": Macros(templates),
        "url": addresses,
        "deeds": lambda page: faces.deeds(request, page, addresses.offered),
        "static_url": lambda path: request.registry["static_path"] + path,
        "csrf_token": identity.csrf_token if identity else "",
        "user": identity,
        "may": lambda privilege: privilege in privileges,
        "settings": request.settings,
        "show": show,
        "flashes": request.pop_flashes,
    }


def includeme(config: Any) -> None:
    reload = asbool(config.registry.settings.get("pyramid.reload_templates"))
    settings = config.registry["settings"]
    directory = settings.template_dir or settings.data_dir / "templates"
    config.registry["templates"] = Templates(directory, reload=reload)
    config.add_renderer(".pt", Renderer)
