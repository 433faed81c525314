"""OpenvCloud admin: the console of a private cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyramid.router import Router


def main(_global_config: dict[str, str], **settings: str) -> Router:
    """Make the WSGI application of the web process (PasteDeploy's app factory).

    Raises `SettingInvalid` for an unknown or bad setting.
    """
    # Here, not above: the rules of the domain and the worker must not load the web framework.
    from ovcadmin.web import assemble  # noqa: PLC0415

    made: Any = assemble(settings)
    return made
