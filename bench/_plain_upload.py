"""The reference of `bench/upload.py`: the console's own server, and behind it only a file's write.

`python bench/_plain_upload.py INI FILE`: a body that is put to `/?at=N` goes there from byte N on.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ovcadmin.config import Settings
from ovcadmin.manage.web import _server as server_of

CHUNK = 1 << 20


def main() -> None:
    settings, target = Settings.from_file(Path(sys.argv[1])), Path(sys.argv[2])

    def write(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        with target.open("r+b") as file:
            file.seek(int(environ["QUERY_STRING"].removeprefix("at=")))
            shutil.copyfileobj(environ["wsgi.input"], file, CHUNK)
        start("200 OK", [("Content-Length", "0")])
        return [b""]

    server_of(write, settings).run()


if __name__ == "__main__":
    main()
