"""A worker that does its chores and looks after no host: guests of the test are in memory.

`python tests/integration/only_chores.py INI`.
"""

if __name__ == "__main__":
    from ovcadmin import green

    green.patch()

import sys
from pathlib import Path

import gevent
import structlog

from ovcadmin import log
from ovcadmin.config import Settings
from ovcadmin.models.database import Database
from ovcadmin.worker.chores import Chores
from ovcadmin.worker.clusters import Clusters
from ovcadmin.worker.main import CHORES_SECONDS
from ovcadmin.worker.realms import Realms

if __name__ == "__main__":
    settings = Settings.from_file(Path(sys.argv[1]))
    log.configure(settings.log_level)
    database = Database(settings.database_url)
    chores = Chores(database, settings, Realms(database, settings), Clusters(database, settings))
    structlog.get_logger(__name__).info("worker.up")
    while True:
        chores.begin_due()
        gevent.sleep(CHORES_SECONDS)
