"""What a request that breaks the contract is told: which field, and what it should be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from openapi_core.deserializing.exceptions import DeserializeError
from openapi_core.templating.media_types.exceptions import MediaTypeFinderError
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.validation.request.exceptions import MissingRequestBodyError

from ovcadmin.errors import DomainError, InvalidInput, MethodNotAllowed, RequestRefused

DEEPEST = 20


def strict_json(raw: bytes, **_parameters: str) -> Any:
    """Read JSON: UTF-8, no key twice, no NaN, no NUL, no more than `DEEPEST` levels.

    Raises `ValueError` for anything else.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number
        )
    except RecursionError:
        raise ValueError("nested too deep") from None
    _check(value, 0)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _check(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError("nested too deep")
    if isinstance(value, str) and b"\0" in value.encode():  # fails for half a character
        raise ValueError("a NUL character")
    for inner in _inside(value):
        _check(inner, depth + 1)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else ()


def as_domain_error(found: Iterable[Exception], method: str) -> DomainError:
    """Return what is wrong with a request as one error of our own tree."""
    fields: dict[str, str] = {}
    for error in found:
        causes = list(_causes(error))
        if any(isinstance(cause, PathError) for cause in causes):
            return MethodNotAllowed(f"This address does not take {method[:20]}.", allow=[])
        if any(isinstance(cause, MediaTypeFinderError) for cause in causes):
            return RequestRefused("Send the body as application/json.")
        if isinstance(error, MissingRequestBodyError):
            return RequestRefused("This request needs a body.")
        named = getattr(error, "name", None)
        if named is None and any(isinstance(cause, DeserializeError) for cause in causes):
            return RequestRefused("The body cannot be read as JSON.")
        fields.update(_fields(causes, str(named) if named else ""))
    return InvalidInput("Nothing was done: see what is wrong in `fields`.", fields=fields)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _fields(causes: list[BaseException], parameter: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for cause in causes:
        for schema_error in getattr(cause, "schema_errors", ()):
            found.update(_field(schema_error, parameter))
    return found or {parameter or "body": "This cannot be read."}


def _field(error: Any, parameter: str) -> dict[str, str]:
    """Name the field of one schema error and say what it should be, without echoing its value."""
    place = ".".join(part for part in (parameter, *map(str, error.absolute_path)) if part)
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return {_join(place, name): "This is missing." for name in missing}
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        extra = [name for name in error.instance if name not in known]
        return {_join(place, name[:50]): "There is no such field here." for name in extra[:20]}
    return {place or "body": _text(error)}


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


_TEXTS = {
    "minimum": "This must be at least {}.",
    "maximum": "This must be at most {}.",
    "minLength": "This needs at least {} characters.",
    "maxLength": "Use at most {} characters.",
    "minProperties": "Say what to change.",
}


def _text(error: Any) -> str:
    value = error.validator_value
    if error.validator == "type":
        return f"This must be {_types(value)}."
    if error.validator == "enum":
        return f"This must be one of {', '.join(map(str, value))}."
    return _TEXTS.get(error.validator, "This does not have the right form.").format(value)


def _types(value: Any) -> str:
    names = [value] if isinstance(value, str) else value
    return " or ".join(_TYPES.get(name, name) for name in names)
