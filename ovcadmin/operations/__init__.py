"""The actions that touch the outside world: each operation type declared once.

Importing this package registers every type.
"""

from ovcadmin.engine import types
from ovcadmin.operations import (
    hosts,
    image_convert,
    images,
    machine_adopt,
    machine_cards,
    machine_clone,
    machine_create,
    machine_delete,
    machine_devices,
    machine_drives,
    machine_migrate,
    machine_power,
    machine_snapshots,
    realm_sync,
    storage,
)

types.register(*machine_create.TYPES, *machine_power.TYPES, *machine_delete.TYPES, *images.TYPES)
types.register(*storage.TYPES)
types.register(*realm_sync.TYPES)
types.register(*machine_devices.TYPES, *machine_drives.TYPES, *machine_cards.TYPES)
types.register(*machine_clone.TYPES, *machine_snapshots.TYPES)
types.register(*hosts.TYPES, *machine_migrate.TYPES, *machine_adopt.TYPES)
types.register(*image_convert.TYPES)
