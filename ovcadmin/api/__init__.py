"""The REST API: the same nouns as the pages, by the contract in openapi/v1.yaml.

The contract comes first: it names each address with its context factory, requests are checked
against it before a view sees them, and the start fails when an address has no route.  Tests check
the answers against it too, and the contract against the rules of OpenAPI.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyramid_openapi3
from pyramid.settings import asbool

from ovcadmin.api import validation
from ovcadmin.api.shapes import renderer

CONTRACT = Path(__file__).parent / "openapi" / "v1.yaml"
PREFIX = "/api/v1"


def includeme(config: Any) -> None:
    _trust_the_contract()
    settings = config.registry.settings
    settings["pyramid_openapi3.enable_response_validation"] = asbool(
        settings.get("pyramid.validate_responses")
    )
    config.include("pyramid_openapi3")
    for kind in ("application/json", "application/problem+json"):
        config.pyramid_openapi3_add_deserializer(kind, validation.strict_json)
    config.pyramid_openapi3_spec(str(CONTRACT), route=f"{PREFIX}/openapi.yaml")
    config.pyramid_openapi3_register_routes(route_prefix=PREFIX)
    config.add_renderer("json", renderer())
    config.scan("ovcadmin.api")


def _trust_the_contract() -> None:
    """Spare every start the two seconds in which the library checks the contract's own form.

    It is a part of the program, which tests have checked; the library has no setting for this.
    """
    vars(pyramid_openapi3)["validate"] = lambda _spec: None
