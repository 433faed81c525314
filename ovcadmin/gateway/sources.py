"""Where consoles come from: the hosts as this process reaches them, and terminals of its own.

The gateway has connections of its own; they serve consoles only, and what hangs on one host holds
up no other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import gevent.socket

from ovcadmin.config import Settings
from ovcadmin.domain.addresses import with_certificates
from ovcadmin.drivers.hypervisor.base import ConsoleStream, Hypervisor
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.services.console_standings import Prompt, Shell
from ovcadmin.services.consoles import Place

OnData = Callable[[bytes], None]
OnClose = Callable[[str], None]


@runtime_checkable
class Sized(ConsoleStream, Protocol):
    """A stream whose other side wants to know how large the page's terminal is."""

    def resize(self, columns: int, rows: int) -> None: ...


class Machines(Protocol):
    """Opens consoles of machines; may take its time, raises `DomainError`."""

    def open_console(
        self, place: Place, *, on_data: OnData, on_close: OnClose
    ) -> ConsoleStream: ...

    def open_graphics(self, place: Place) -> int:
        """Return a connected descriptor that speaks RFB; the caller closes it."""
        ...

    def close(self) -> None: ...


class Prompts(Protocol):
    """Opens embedded terminals and shells of hosts."""

    def open_shell(self, shell: Shell, *, on_data: OnData, on_close: OnClose) -> ConsoleStream: ...

    def open(self, prompt: Prompt, *, on_data: OnData, on_close: OnClose) -> ConsoleStream: ...


class Sources:
    """Opens whatever a session is on."""

    def __init__(self, machines: Machines, prompts: Prompts) -> None:
        self._machines, self._prompts = machines, prompts

    def open_console(
        self, place: Place | Prompt | Shell, *, on_data: OnData, on_close: OnClose
    ) -> ConsoleStream:
        """Open a stream of text; raises what calls to a host raise."""
        if isinstance(place, Prompt):
            return self._prompts.open(place, on_data=on_data, on_close=on_close)
        if isinstance(place, Shell):
            return self._prompts.open_shell(place, on_data=on_data, on_close=on_close)
        return self._machines.open_console(place, on_data=on_data, on_close=on_close)

    def open_graphics(self, place: Place) -> Any:
        """Open a line to a guest's screen, a socket that waits without holding up others."""
        return gevent.socket.socket(fileno=self._machines.open_graphics(place))


class Hosts:
    """Every host on which a console was opened, through libvirt."""

    def __init__(self, settings: Settings) -> None:
        self._deadline = float(settings.host_deadline_seconds)
        self._certificates = str(settings.libvirt_certificates or "")
        self._known: dict[int, tuple[str, Hypervisor]] = {}

    def open_console(self, place: Place, *, on_data: OnData, on_close: OnClose) -> ConsoleStream:
        """Open the guest's serial console; raises what calls to a host raise."""
        return self._host(place).open_console(place.uuid, on_data=on_data, on_close=on_close)

    def open_graphics(self, place: Place) -> int:
        """Open a line to the guest's screen; raises what calls to a host raise."""
        return self._host(place).open_graphics(place.uuid)

    def _host(self, place: Place) -> Hypervisor:
        uri, host = self._known.get(place.host_id, ("", None))
        if host is None or uri != place.uri:
            if host is not None:
                host.close()
            address = with_certificates(place.uri, self._certificates)
            host = LibvirtHypervisor(place.host_name, address, deadline=self._deadline)
            self._known[place.host_id] = (place.uri, host)
        return host

    def close(self) -> None:
        for _, host in self._known.values():
            host.close()
        self._known.clear()
