"""The state table as product.md has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.domain import states
from ovcadmin.domain.states import HOLDS_RUNNING, TABLE, Action, State


@pytest.mark.parametrize(
    ("action", "source", "success"),
    [
        (Action.CREATE, State.NEW, State.STOPPED),
        (Action.START, State.STOPPED, State.RUNNING),
        (Action.SHUTDOWN, State.RUNNING, State.STOPPED),
        (Action.POWER_OFF, State.RUNNING, State.STOPPED),
        (Action.RESET, State.RUNNING, State.RUNNING),
        (Action.REBOOT, State.RUNNING, State.RUNNING),
        (Action.SUSPEND, State.RUNNING, State.SUSPENDED),
        (Action.RESUME, State.SUSPENDED, State.RUNNING),
        (Action.SAVE, State.RUNNING, State.SAVED),
        (Action.RESTORE, State.SAVED, State.RUNNING),
        (Action.SNAPSHOT, State.RUNNING, State.RUNNING),
        (Action.SNAPSHOT, State.STOPPED, State.STOPPED),
        (Action.ROLL_BACK, State.STOPPED, State.STOPPED),
        (Action.MIGRATE, State.RUNNING, State.RUNNING),
        (Action.MIGRATE, State.STOPPED, State.STOPPED),
        (Action.CLONE, State.STOPPED, State.STOPPED),
        (Action.RESIZE, State.RUNNING, State.RUNNING),
        (Action.CHANGE, State.STOPPED, State.STOPPED),
        (Action.BIN, State.STOPPED, State.BINNED),
        (Action.UNBIN, State.BINNED, State.STOPPED),
        (Action.DELETE, State.BINNED, State.DELETED),
        (Action.DELETE, State.STOPPED, State.DELETED),
        (Action.DELETE, State.CREATE_FAILED, State.DELETED),
    ],
)
def test_each_action_leads_from_its_source_to_its_goal(action, source, success):
    assert action in states.allowed(source)
    assert states.after(action, source) is success


def test_a_running_machine_cannot_be_deleted_or_started():
    assert Action.DELETE not in states.allowed(State.RUNNING)
    assert Action.START not in states.allowed(State.RUNNING)


def test_a_form_is_no_button():
    assert Action.START in states.plain()
    assert not {Action.CREATE, Action.SNAPSHOT, Action.RESIZE} & set(states.plain())


def test_nothing_can_be_done_with_a_deleted_machine():
    assert states.allowed(State.DELETED) == ()


@given(st.sampled_from(list(Action)), st.sampled_from(list(State)))
def test_failure_never_frees_or_takes_what_running_machines_hold(action, state):
    if state in TABLE[action].sources:
        after = states.after_failure(action, state)
        assert (after in HOLDS_RUNNING) == (state in HOLDS_RUNNING)


@pytest.mark.parametrize("state", list(states.POWER))
def test_the_power_of_a_state_is_observed_as_that_state(state):
    assert states.observed(states.POWER[state], State.STOPPED) is state
