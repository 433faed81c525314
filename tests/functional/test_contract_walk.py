"""The whole contract is walked by schemathesis as each role.

No failure of the server, no answer outside of the contract, nothing of others.

What a request does is rolled back, so all share one cloud; the walk is the same every time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stderr

import pytest
import schemathesis
import transaction
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ovcadmin import api, refused
from tests.functional.addresses import every
from tests.functional.test_matrix import NOBODY, PLACES, SECRET, Cloud
from tests.functional.world import ROLES, World

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
EXAMPLES = {"Super Admin": 3, "User": 2}
FEW = 1
"""Tries of each call as any other role."""
CHOOSES_FIELDS = "fields"
"""A parameter that leaves out what the schema requires; tests/functional/test_api_lists has it."""


class Undone:
    """The application, each of whose requests is rolled back."""

    def __init__(self, app: object) -> None:
        self._app = app

    def __call__(self, environ: dict[str, object], start: object) -> Iterator[bytes]:
        manager = transaction.TransactionManager(explicit=True)
        manager.begin().doom()
        environ |= {"tm.active": True, "tm.manager": manager, "REMOTE_ADDR": "192.0.2.7"}
        try:
            return list(self._app(environ, start))
        finally:
            manager.abort()


@pytest.fixture(scope="module")
def cloud(worlds, tmp_path_factory) -> Cloud:
    directory = tmp_path_factory.mktemp("walk")
    world = World(f"sqlite:///{directory}/ovcadmin.db", directory)
    yield Cloud(world)
    world.close()


@pytest.fixture(autouse=True)
def nothing_is_noted(monkeypatch):
    """A refusal is noted in a transaction of its own, which would wait for the one around it."""
    monkeypatch.setattr(refused, "write_down", lambda _request: None)


@pytest.fixture(scope="module")
def contract(cloud) -> object:
    raw = yaml.safe_load(api.CONTRACT.read_text())
    for item in raw["paths"].values():
        for call in (one for one in item.values() if isinstance(one, dict)):
            named = call.get("parameters", [])
            call["parameters"] = [one for one in named if CHOOSES_FIELDS not in str(one).lower()]
    with redirect_stderr(io.StringIO()):
        return schemathesis.openapi.from_dict(raw)


@pytest.fixture(scope="module")
def kinds(cloud) -> dict[tuple[str, str], str]:
    """What each call is about, by its method and path."""
    prefix = "/api/v1"
    return {
        (one.method, one.path.removeprefix(prefix)): one.kind
        for one in every(cloud.world.app)
        if one.api
    }


def _ids(cloud: Cloud, kind: str) -> list[int]:
    return [cloud.id_of(kind, place) for place in PLACES] if kind else [1, 999_999]


def _known(kinds: dict[tuple[str, str], str], method: str, path: str) -> str:
    return kinds.get((method, path), "")


def _walk(cloud: Cloud, contract: object, kinds: object, role: str) -> list[str]:
    wrong: list[str] = []
    told: set[int] = set()
    key = cloud.apis[role, "pool"].headers
    app = Undone(cloud.world.app)
    for result in contract.get_all_operations():
        operation = result.ok()
        kind = _known(kinds, operation.method.upper(), operation.path)
        ids = _ids(cloud, kind)

        @settings(
            max_examples=EXAMPLES.get(role, FEW),
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), number=st.sampled_from(ids))
        def ask(case, number):
            if "id" in (case.path_parameters or {}):
                case.path_parameters["id"] = number
            answer = case.call(app=app, base_url="http://localhost/api/v1", headers=key)
            try:
                case.validate_response(answer, checks=CHECKS)
            except Exception as error:  # noqa: BLE001 - all that is wrong is told at once
                wrong.append(f"{case.operation.label}: {str(error)[:600]}")
            told.add(answer.status_code)
            if SECRET in answer.text:
                wrong.append(f"{case.operation.label} tells of the sibling: {answer.text[:600]}")

        ask()
    # Both ways through: what is allowed and what is refused.
    assert {200, 404, 422} <= told or role == NOBODY, told
    return wrong


@pytest.mark.requirement("KVM-18", "PEER-25")
@pytest.mark.parametrize("role", [*ROLES, NOBODY])
def test_fault_8_and_21_nothing_outside_of_the_contract_as(cloud, contract, kinds, role):
    assert _walk(cloud, contract, kinds, role) == []
