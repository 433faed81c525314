"""`python tests/integration/printing_gateway.py INI`: a gateway whose guests print without end.

They live in its own memory, echo keys, and print as fast as it is taken: what is lost or grows on
the way is the gateway's.
"""

import sys
from pathlib import Path

import gevent
from gevent.event import Event

from ovcadmin import log
from ovcadmin.config import Settings
from ovcadmin.gateway.app import Gateway

CHUNK = 64 * 1024
FLOODS = {b"F": 256 * 2**20, b"G": 10**9 // CHUNK * CHUNK}
"""Keys that make a guest print, and how many bytes."""


def printed(number: int) -> bytes:
    """Return what a guest prints at this turn: a lost or doubled one is seen."""
    return number.to_bytes(8, "big") * (CHUNK // 8)


class PrintingGuest:
    """Echoes keys; those of `FLOODS` make it print."""

    def __init__(self, on_data):
        self._on_data = on_data
        self._flows = Event()
        self._flows.set()

    def write(self, data):
        if data in FLOODS:
            gevent.spawn(self._flood, FLOODS[data] // CHUNK)
        else:
            self._on_data(data)

    def _flood(self, times):
        for number in range(times):
            self._flows.wait()
            self._on_data(printed(number))
            gevent.sleep(0)

    def pause(self):
        self._flows.clear()

    def resume(self):
        self._flows.set()

    def close(self):
        self._flows.clear()


class PrintingHosts:
    def open_console(self, _place, *, on_data, on_close):
        return PrintingGuest(on_data)

    def close(self):
        pass


if __name__ == "__main__":
    settings = Settings.from_file(Path(sys.argv[1]))
    log.configure(settings.log_level)
    Gateway(settings, PrintingHosts()).run()
