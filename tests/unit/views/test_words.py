"""Filters as words, times, refusals, and cells of spreadsheets."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from ovcadmin.views import show
from ovcadmin.views.consumption import harmless
from ovcadmin.views.machine_tables import read
from ovcadmin.views.refusals import Refusal

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_a_filter_is_words_with_and_without_a_colon():
    box, wanted = read("  state:running web owner:anna 01 colour:red ")
    assert wanted.state == "running"
    assert wanted.owner == "anna"
    assert wanted.text == "web 01"
    assert box.unknown == ["colour:red"]
    assert box.words == "state:, owner:, host: or tag:"


def test_a_mac_is_no_filter_word():
    assert read("52:54:00:ab:cd:ef")[1].text == "52:54:00:ab:cd:ef"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min"), (7200, "2 h"), (90000, "1 d"), (-5, "0 s")],
)
def test_an_age_is_told_by_its_largest_unit(seconds, text):
    assert show.age(NOW - timedelta(seconds=seconds), NOW) == text


def test_how_long_something_took():
    assert show.lasted(None, NOW) == ""
    assert show.lasted(NOW - timedelta(seconds=3.14), NOW) == "3.1 s"
    assert show.lasted(NOW - timedelta(seconds=125), NOW) == "2 min 5 s"
    assert show.lasted(NOW - timedelta(hours=2, minutes=3), NOW) == "2 h 3 min"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_fault_21_no_cell_is_a_formula(cell):
    assert harmless(cell) == f"'{cell}"
    assert harmless("web01") == "web01"
    assert harmless(-1.5) == -1.5


def test_a_quota_refusal_has_its_figures_and_what_would_help():
    block = {
        "pool_id": 3, "pool": "Web", "resource": "memory", "limit": 2**20, "used": 2**19,
        "pending": 0, "wanted": 2**20, "short": 2**19,
    }  # fmt: skip

    def told(*blocks):
        return Refusal.of(
            SimpleNamespace(
                code="quota.exceeded",
                article="/help/errors/quota.exceeded",
                text="web01 does not fit the quota. Web: memory 512 MiB of 1 GiB used.",
                context={"blocks": blocks},
            )
        )

    assert told(block).what == "web01 does not fit the quota."
    assert told(block).blocks[0].short == "512 MiB"
    assert told(block).help.startswith("Freeing 512 MiB of memory in Web would be enough: ")
    both = told(block, {**block, "pool_id": 2, "pool": "Cloud"}).help
    assert both.startswith("Each of them must give way. ")
    assert "in Cloud would be enough there: " in both


def test_a_placement_refusal_lists_why_each_host_cannot():
    told = Refusal.of(
        SimpleNamespace(
            code="placement.no_host",
            article="/help/errors/placement.no_host",
            text="No host can take the machine: kvm-a does not answer.",
            context={"hosts": {"kvm-a": ["kvm-a does not answer"], "kvm-b": []}},
        )
    )
    assert told.what == "No host can take the machine."
    assert told.hosts == ["kvm-a does not answer"]


def test_any_other_refusal_is_its_text():
    problem = SimpleNamespace(
        code="x", text="It cannot be. Do this.", context={"machine_id": 7}, article="/help/errors/x"
    )
    told = Refusal.of(problem)
    assert told.what == "It cannot be. Do this."
    assert told.article == "/help/errors/x?machine=7"
