"""Every operation type is declared whole."""

from __future__ import annotations

import pytest

import ovcadmin.operations  # noqa: F401 - registers the types
from ovcadmin.domain.states import TABLE, Action, plain
from ovcadmin.engine import types
from ovcadmin.security.privileges import Privilege

TYPES = types.every()


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_an_operation_type_is_complete(kind):
    assert kind.name.count(".") == 1
    assert "{name}" in kind.text
    assert kind.privilege in set(Privilege)
    assert kind.steps
    assert kind.succeed is not None
    assert kind.fail is not None
    assert len({step.name for step in kind.steps}) == len(kind.steps)
    assert all(step.text for step in kind.steps)


def test_every_action_of_the_state_table_that_is_a_button_has_one_operation_type():
    actions = [kind.action for kind in TYPES if kind.action is not None]
    assert sorted(TABLE) == sorted(Action)
    assert sorted(one for one in actions if not TABLE[one].form) == sorted([*plain(), "create"])
