"""How the views of the API are declared, and what is done around each of them by the contract."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from pyramid.interfaces import IRoutesMapper
from pyramid.view import view_config

from ovcadmin.api import contract, creation, lists, versions
from ovcadmin.api.creation import Secret
from ovcadmin.api.lists import Listing
from ovcadmin.errors import InvalidInput

View = Callable[[Any, Any], Any]


def endpoint(
    route: str, method: str, *, permission: str, secret: Secret | None = None
) -> Callable[[View], View]:
    """Declare a view of the contract's route `api.<route>`; its request is checked first.

    `secret`: what of the answer is shown once and never kept.
    """

    def declare(view: View) -> View:
        @functools.wraps(view)
        def checked(context: Any, request: Any) -> Any:
            call = contract.call(route, method)
            _refuse_unknown_parameters(request)
            versions.guard(context, request, call)
            answer = creation.once(
                context, request, call, lambda: _answer(view, context, request, call), secret
            )
            _name_page(request)
            return answer

        if method == "GET":
            versions.SHOWS[route] = view
        declared: View = view_config(
            route_name=f"api.{route}",
            request_method=method,
            permission=permission,
            renderer="json",
            openapi=True,
            _depth=1,  # the scan looks for views where the decorator was applied
        )(checked)
        return declared

    return declare


def _answer(view: View, context: Any, request: Any, call: contract.Call) -> Any:
    answer = view(context, request)
    versions.tell(context, request, call, answer)
    if isinstance(answer, Listing):
        answer = lists.page(answer, query(request))
    if request.method == "GET" and isinstance(answer, dict) and "items" in answer:
        lists.choose(request, answer, query(request).get("fields"))
    return answer


def _name_page(request: Any) -> None:
    """Say which page shows the same to people: that of the route's name, or of its beginning."""
    name = request.matched_route.name.removeprefix("api.")
    values = request.matchdict
    if location := re.search(
        r"/operations/([0-9]+)$", request.response.headers.get("Location", "")
    ):
        name, values = "operation", {"id": location[1]}
    mapper = request.registry.getUtility(IRoutesMapper)
    while name:
        route = mapper.get_route(name)
        if route is not None and set(re.findall(r"{([a-z_]+)", route.pattern)) <= values.keys():
            shown = request.route_path(name, **values)
            request.response.headers["Link"] = f'<{shown}>; rel="alternate"; type="text/html"'
            return
        name = name.rpartition("_")[0]


def _refuse_unknown_parameters(request: Any) -> None:
    """Raise `InvalidInput` for a misspelt filter: ignoring it would answer another question."""
    known = query(request)
    fields = {
        name[:50]: "There is no such parameter here." for name in request.GET if name not in known
    }
    for name in known:
        if len(request.GET.getall(name)) > 1:
            fields[name] = "This is there twice."
    if fields:
        raise InvalidInput("Nothing was done: see what is wrong in `fields`.", fields=fields)


def query(request: Any) -> dict[str, Any]:
    """Return the checked parameters of the query, the defaults of the contract filled in.

    Those that were not sent and have no default are there as None.
    """
    route = request.matched_route.name.removeprefix("api.")
    given = request.openapi_validated.parameters.query
    return {name: given.get(name) for name in contract.call(route, request.method).query}


def path(request: Any, route: str, **values: Any) -> str:
    address: str = request.route_path(f"api.{route}", **values)
    return address
