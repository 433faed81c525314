"""Real services for tests, each on private ports and directories.

Whatever a context manager here starts ends with it, and also when the test process dies in the
middle: children carry a death signal, and a libvirt host lives in a process namespace of its own.
"""

from tests.rig.browser import chromium
from tests.rig.hypervisor import LibvirtHost, libvirt_host
from tests.rig.image import starter_image
from tests.rig.postgres import PostgresServer, postgres

__all__ = [
    "LibvirtHost",
    "PostgresServer",
    "chromium",
    "libvirt_host",
    "postgres",
    "starter_image",
]
