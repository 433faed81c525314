"""Looks now and then which addresses a host gave to its guests."""

from __future__ import annotations

import gevent
import structlog

from ovcadmin.config import Settings
from ovcadmin.errors import LeaseLost, OutsideError
from ovcadmin.models.database import Database
from ovcadmin.services import guest_addresses
from ovcadmin.worker.links import Duty

logger = structlog.get_logger(__name__)

EVERY_SECONDS = 30.0
LOOK_SECONDS = 1.0
"""A host that came up just now is asked this soon."""


def watch(database: Database, settings: Settings, duty: Duty) -> None:
    """Ask until the duty is over, in a greenlet of its own."""
    while not duty.over:
        if duty.link.up:
            _look(database, settings, duty)
        gevent.sleep(EVERY_SECONDS if duty.link.up else LOOK_SECONDS)


def _look(database: Database, settings: Settings, duty: Duty) -> None:
    link = duty.link
    try:
        leases = link.hypervisor.leases()
        if leases:
            with duty.writing(database, settings) as work:
                guest_addresses.seen(work, link.host_id, leases)
    except (LeaseLost, OutsideError) as error:
        logger.info("host.addresses_unknown", host=link.name, text=error.text)
    except Exception:
        # The database, most likely; the next look says everything again.
        logger.exception("host.addresses_failed", host=link.name)
