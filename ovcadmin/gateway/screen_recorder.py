"""Records a guest's screen: a VNC client of the gateway's own, beside whoever looks.

It asks for a picture no more than once a second and waits longer after a large one, so a film in a
guest costs neither the host nor the database much.  Pictures come as PNG (TightPNG), each by
itself, so any of them can be masked; a whole one comes now and then for whoever looks at the rest.
"""

from __future__ import annotations

import struct
import time
from typing import Any

import gevent
import structlog

from ovcadmin.errors import DomainError
from ovcadmin.gateway import rfb
from ovcadmin.gateway.recorders import Recorder
from ovcadmin.gateway.sources import Sources
from ovcadmin.services.consoles import Place

log = structlog.get_logger(__name__)

PAUSE = 1.0
"""Seconds between two pictures."""
BYTES_A_SECOND = 64 * 1024
"""Of pictures, over time."""
WHOLE_SECONDS = 20.0
"""Between two pictures of the whole screen."""


def record(sources: Sources, place: Place, recorder: Recorder) -> None:
    """Record until the screen goes away; the console goes on without."""
    try:
        line = sources.open_graphics(place)
    except DomainError as error:
        log.warning("recording.no_screen", recording=recorder.order.recording_id, why=error.text)
        return
    try:
        _record(line, recorder)
    except (OSError, rfb.HandshakeFailed) as error:
        log.info("recording.screen_ended", why=str(error))
    finally:
        line.close()


def _record(line: Any, recorder: Recorder) -> None:
    rfb.enter(line)
    begin = rfb.begin(line)
    recorder.shown(rfb.GREETING + begin)
    width, height = struct.unpack_from(">HH", begin)
    whole_at = 0.0
    while not recorder.cut:
        whole = time.monotonic() > whole_at
        line.sendall(rfb.ask(width, height, whole=whole))
        if whole:
            whole_at = time.monotonic() + WHOLE_SECONDS
        message, resized = rfb.next_message(line)
        width, height = resized or (width, height)
        whole_at = 0.0 if resized else whole_at
        recorder.shown(message)
        gevent.sleep(max(PAUSE, len(message) / BYTES_A_SECOND))
