"""Assembly of the web process: settings, database, security, routes, views, in this order."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyramid.request
from pyramid.config import Configurator
from pyramid.tweens import INGRESS
from pyramid.viewderivers import INGRESS as FIRST_DERIVER

import ovcadmin.operations  # noqa: F401 - registers the operation types that can be asked for
from ovcadmin import log
from ovcadmin.config import Settings
from ovcadmin.directories import Directories
from ovcadmin.models.database import Database
from ovcadmin.security import csrf, inputs, rates, read_only
from ovcadmin.security.policy import UNDECLARED, Policy

STATIC = Path(__file__).parents[1] / "static"
ATTEMPTS = "3"
"""How often a request is tried that lost a race in the database."""
PIECE = b"a piece of a file"
"""Stands for one where it is not read, so that none is held in memory."""


class Request(pyramid.request.Request):  # type: ignore[misc]  # it has no types
    """A request whose body is read where the server has it whole: in memory, or in a file."""

    request_body_tempfile_limit = 2**24
    """Another server's body, which must be copied, is kept in memory: no piece is larger."""

    def make_body_seekable(self) -> None:
        """Another attempt begins at the body's start again; a copy costs more than all the rest."""
        seekable = getattr(self.body_file_raw, "seekable", None)
        if self.is_body_readable and seekable is not None and seekable():
            self.is_body_seekable = True
        super().make_body_seekable()

    @pyramid.request.Request.body.getter
    def body(self) -> bytes:
        """The whole body, but for a piece of a file, which is read from `body_file_seekable`.

        The contract is checked by this; it says nothing of a piece but that there is one.
        """
        if self.content_type == inputs.PIECE_TYPE and self.content_length:
            return PIECE
        whole: bytes = super().body
        return whole


def assemble(raw: dict[str, str]) -> Any:
    """Return the WSGI application for the settings of an ini section."""
    settings = Settings.from_mapping(raw)
    log.configure(settings.log_level)
    config = Configurator(settings=_framework_settings(raw), request_factory=Request)
    config.registry["settings"] = settings
    database = Database(settings.database_url, pool_size=settings.web_threads)
    config.registry["database"] = database
    if settings.dispatch == "celery":
        from ovcadmin.engine.broker import Post  # noqa: PLC0415 - Celery, only where it is used

        database.told = Post(settings).send
    config.registry["rates"] = rates.Rates(settings.api_rate, settings.data_dir / rates.FILE)
    config.registry["directories"] = Directories(settings.data_dir, threads=settings.web_threads)
    _add_transactions(config)
    _add_security(config)
    _add_static_files(config)
    config.include("ovcadmin.request")
    config.include("ovcadmin.routes")
    config.include("ovcadmin.views")
    config.include("ovcadmin.api")
    return config.make_wsgi_app()


def _framework_settings(raw: dict[str, str]) -> dict[str, Any]:
    """Return what is Pyramid's of the ini section, and our choices for its parts."""
    return {
        **{name: value for name, value in raw.items() if not name.startswith("ovc.")},
        "tm.manager_hook": "pyramid_tm.explicit_manager",
        "tm.commit_veto": "ovcadmin.tweens.commit_veto",
        # Else every request, a static file included, would look up who asks.
        "tm.annotate_user": "false",
        "retry.attempts": ATTEMPTS,
    }


def _add_transactions(config: Any) -> None:
    config.include("pyramid_retry")
    config.include("pyramid_tm")
    config.add_tween("ovcadmin.tweens.ingress", under=INGRESS)


def _add_security(config: Any) -> None:
    config.set_security_policy(Policy())
    config.set_default_permission(UNDECLARED)
    config.add_view_deriver(inputs.deriver, "inputs", under=FIRST_DERIVER, over="secured_view")
    config.add_view_deriver(csrf.deriver, "csrf", under="inputs", over="secured_view")
    config.add_view_deriver(read_only.deriver, "read_only", under="csrf", over="secured_view")


def _add_static_files(config: Any) -> None:
    """Serve static/ under a path that changes with its content, so that it may be kept for ever."""
    version = _fingerprint(STATIC)
    config.registry["static_path"] = f"/static/{version}/"
    config.add_static_view(f"static/{version}", str(STATIC), cache_max_age=365 * 24 * 3600)


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
