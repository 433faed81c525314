"""Every refusal and failure below /api/ as problem+json."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPClientError, HTTPServerError
from pyramid.response import Response
from pyramid.view import exception_view_config
from pyramid_openapi3.exceptions import RequestValidationError, ResponseValidationError

from ovcadmin import answers
from ovcadmin.api import validation
from ovcadmin.errors import DomainError, NotSignedIn

BELOW_API = r"^/api/"


@exception_view_config(DomainError, path_info=BELOW_API)
@exception_view_config(HTTPClientError, path_info=BELOW_API)
@exception_view_config(HTTPServerError, path_info=BELOW_API)
@exception_view_config(Exception, path_info=BELOW_API)
def failed(raised: Any, request: Any) -> Response:
    error = answers.as_domain_error(raised, request)
    response = answers.problem_response(error, request)
    if isinstance(error, NotSignedIn):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


@exception_view_config(RequestValidationError)
def against_the_contract(raised: RequestValidationError, request: Any) -> Response:
    error = validation.as_domain_error(raised.errors, request.method)
    return answers.problem_response(answers.as_domain_error(error, request), request)


@exception_view_config(ResponseValidationError)
def answered_against_the_contract(raised: ResponseValidationError, request: Any) -> Response:
    """Fail loudly; only where answers are validated, which is in tests."""
    defect = RuntimeError(f"the answer breaks the contract: {raised}")
    return answers.problem_response(answers.as_domain_error(defect, request), request)
