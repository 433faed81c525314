"""A simulator of the Open vStorage management API (version 6 of both release lines).

Real HTTPS, real OAuth2, real task states; volumes are real raw files below a directory that
stands for the vPools' mount points, so that QEMU runs guests on them.  It knows nothing of the
console: only the standard library, and `cryptography` for its certificate.
"""

from ovcadmin.testing.openvstorage.faults import Faults
from ovcadmin.testing.openvstorage.plan import Plan
from ovcadmin.testing.openvstorage.server import Simulator

__all__ = ["Faults", "Plan", "Simulator"]
