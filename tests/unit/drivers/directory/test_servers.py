"""The memory of dead servers, on a clock of the test."""

import pytest

from ovcadmin.drivers.directory.servers import REST_FACTOR, Servers
from ovcadmin.drivers.directory.settings import Address

A, B = Address("a", 389), Address("b", 389)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def servers(clock):
    return Servers([A, B], probe=6, clock=clock)


def test_the_first_is_preferred(servers):
    assert servers.candidates() == [A, B]


def test_a_server_rests_in_proportion_to_what_it_cost(servers, clock):
    servers.failed(A, seconds=3, trouble="no answer")
    assert servers.candidates() == [B]
    clock.now += 3 * REST_FACTOR
    # It comes after those that are known to be alive: nobody waits to find out.
    assert servers.candidates() == [B, A]
    servers.answered(A)
    assert servers.candidates() == [A, B]


def test_a_long_listing_that_ends_badly_costs_no_longer_rest(servers, clock):
    servers.failed(A, seconds=600, trouble="lost")
    clock.now += 6 * REST_FACTOR
    assert A in servers.candidates()


def test_when_all_rest_one_caller_tries_and_the_others_do_not_wait(servers, clock):
    for address in (A, B):
        servers.failed(address, seconds=3, trouble="no answer")
    assert servers.candidates() == []
    assert servers.next_try() == 3 * REST_FACTOR
    assert servers.troubles() == {"a:389": "no answer", "b:389": "no answer"}
    clock.now += 3 * REST_FACTOR
    assert servers.candidates() == [A, B]
    assert servers.candidates() == []
    clock.now += 6
    assert servers.candidates() == [A, B]
