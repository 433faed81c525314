"""What a guest says is shown, never believed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.domain import guest_words
from ovcadmin.domain.guest_words import LARGEST, LONGEST, tidy

KEYS = (
    "os.pretty-name", "os.kernel-release", "hostname", "memory.available", "if.count",
    "if.0.name", "if.0.hwaddr", "if.0.addr.count", "if.0.addr.0.addr", "fs.count",
    "fs.0.mountpoint", "fs.0.total-bytes",
)  # fmt: skip
anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())


def test_what_an_honest_agent_says():
    told = tidy(
        {
            "os.pretty-name": "Debian 12", "os.kernel-release": "6.1", "hostname": "web-01",
            "memory.available": 262144, "memory.unused": 1024,
            "if.count": 1, "if.0.name": "eth0", "if.0.hwaddr": "52:54:00:00:00:01",
            "if.0.addr.count": 2, "if.0.addr.0.addr": "10.0.0.7", "if.0.addr.1.addr": "fe80::1",
            "fs.count": 1, "fs.0.mountpoint": "/", "fs.0.fstype": "ext4",
            "fs.0.total-bytes": 10, "fs.0.used-bytes": 4,
        }
    )  # fmt: skip
    assert told == {
        "os": "Debian 12", "kernel": "6.1", "hostname": "web-01",
        "memory": 262144, "memory_unused": 1024,
        "cards": [
            {"name": "eth0", "mac": "52:54:00:00:00:01", "addresses": ["10.0.0.7", "fe80::1"]}
        ],
        "file_systems": [{"place": "/", "type": "ext4", "total": 10, "used": 4}],
    }  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), anything))
def test_whatever_is_said_becomes_something_small_and_harmless(said):
    told = tidy(said)
    assert len(told["cards"]) <= guest_words.MOST_CARDS
    assert len(told["file_systems"]) <= guest_words.MOST_FILE_SYSTEMS
    words = [told["os"], told["kernel"], told["hostname"]]
    words += [word for card in told["cards"] for word in (card["name"], *card["addresses"])]
    assert all(len(word) <= LONGEST and (word == "" or word.isprintable()) for word in words)
    assert 0 <= told["memory"] <= LARGEST
