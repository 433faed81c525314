"""`python tests/integration/fake_gateway.py INI`: a gateway whose hosts live in its own memory.

Everything but the guests is the real thing.  A guest comes into being when its console is opened.
"""

import sys
from pathlib import Path

from ovcadmin import log
from ovcadmin.config import Settings
from ovcadmin.drivers.hypervisor.base import MachineSpec, VirtType
from ovcadmin.drivers.hypervisor.fake import FakeHypervisor
from ovcadmin.gateway.app import Gateway


class FakeHosts:
    def __init__(self):
        self.host = FakeHypervisor()

    def open_console(self, place, *, on_data, on_close):
        self._make(place)
        return self.host.open_console(place.uuid, on_data=on_data, on_close=on_close)

    def open_graphics(self, place):
        self._make(place)
        return self.host.open_graphics(place.uuid)

    def _make(self, place):
        if self.host.state(place.uuid) is None:
            self.host.define(
                MachineSpec(
                    uuid=place.uuid,
                    name=place.uuid,
                    title="",
                    vcpus=1,
                    memory=1024,
                    virt_type=VirtType.QEMU,
                    disks=(),
                    nics=(),
                )
            )
            self.host.start(place.uuid)

    def close(self):
        self.host.close()


if __name__ == "__main__":
    settings = Settings.from_file(Path(sys.argv[1]))
    log.configure(settings.log_level)
    Gateway(settings, FakeHosts()).run()
