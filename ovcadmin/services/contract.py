"""The contract of the REST API as a page shows it: groups of calls, each with what it takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[1] / "api" / "openapi" / "v1.yaml"
PREFIX = "/api/v1"
METHODS = ("get", "post", "put", "patch", "delete")
DEEPEST = 4
"""Levels of a schema that an example is made of."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    name: str
    place: str
    """`path`, `query` or `header`."""
    required: bool
    text: str
    shape: str
    """Its type in a few words."""
    example: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One call."""

    id: str
    method: str
    path: str
    summary: str
    parameters: Sequence[Parameter]
    body: str
    """An example in JSON; blank when it takes none."""
    answers: Sequence[Answer]

    @property
    def reads(self) -> bool:
        return self.method == "GET"


@dataclass(frozen=True, kw_only=True)
class Group:
    """The calls on one noun."""

    name: str
    calls: list[Operation] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"calls-{self.name}"


@cache
def groups() -> tuple[Group, ...]:
    """Return all calls by the first word of their path, in the order of the contract."""
    contract = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    found: dict[str, Group] = {}
    for path, item in contract["paths"].items():
        name = path.strip("/").partition("/")[0]
        group = found.setdefault(name, Group(name=name))
        shared = item.get("parameters", [])
        for method in METHODS:
            if method in item:
                group.calls.append(_operation(contract, path, method, item[method], shared))
    return tuple(found.values())


def _operation(
    contract: dict[str, Any], path: str, method: str, told: dict[str, Any], shared: list[Any]
) -> Operation:
    wanted = [_followed(contract, one) for one in [*shared, *told.get("parameters", [])]]
    content = _followed(contract, told.get("requestBody", {})).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    answers = told.get("responses", {}).items()
    return Operation(
        id=told["operationId"],
        method=method.upper(),
        path=path,
        summary=told.get("summary", ""),
        parameters=[_parameter(contract, one) for one in wanted],
        body=json.dumps(example(contract, schema), indent=2) if schema else "",
        answers=[
            Answer(status=str(status), text=_followed(contract, one).get("description", ""))
            for status, one in answers
        ],
    )


def _parameter(contract: dict[str, Any], told: dict[str, Any]) -> Parameter:
    schema = _followed(contract, told.get("schema", {}))
    return Parameter(
        name=told["name"],
        place=told["in"],
        required=bool(told.get("required")),
        text=told.get("description", ""),
        shape=_shape(schema),
        example=str(schema.get("default", "")),
    )


def _shape(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(str(one) for one in schema["enum"])
    kind = schema.get("type", "")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def example(contract: dict[str, Any], schema: dict[str, Any], depth: int = 0) -> Any:
    """Make a value that fits a schema, to begin with."""
    schema = _followed(contract, schema)
    if depth > DEEPEST:
        return None
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return example(contract, schema[choice][0], depth + 1)
    for given in ("default", "const"):
        if given in schema:
            return schema[given]
    if "enum" in schema:
        return schema["enum"][0]
    return _plain(contract, schema, depth)


def _plain(contract: dict[str, Any], schema: dict[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        parts = schema.get("properties", {})
        return {name: example(contract, part, depth + 1) for name, part in parts.items()}
    if kind == "array":
        return [example(contract, schema.get("items", {}), depth + 1)]
    return {"integer": schema.get("minimum", 0), "number": 0, "boolean": False}.get(kind, "")


def _followed(contract: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference within the contract."""
    while "$ref" in told:
        found: Any = contract
        for part in told["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        told = found
    return told
