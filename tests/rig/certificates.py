"""Certificates of an authority of our own."""

from pathlib import Path

from tests.rig.tools import run

# With the library's own configuration every certificate would be one of an authority.
SETTINGS = "[req]\ndistinguished_name = name\n[name]\n"
NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30"


def make(here: Path, names: str) -> None:
    """Make an authority (`ca.pem`), a foreign one, and `server.pem` with its key for `names`.

    Names are written as `DNS:localhost,IP:127.0.0.1`.
    """
    (here / "openssl.conf").write_text(SETTINGS)
    for authority in ("ca", "foreign"):
        _make(here, authority, "-addext basicConstraints=critical,CA:TRUE")
    sign(here, "server", names)


def sign(here: Path, name: str, names: str, *, authority: str = "ca") -> None:
    """Make a certificate `name` for these names, signed by an authority that `make` made."""
    _make(
        here,
        name,
        f"-CA {here}/{authority}.pem -CAkey {here}/{authority}.key "
        f"-addext basicConstraints=critical,CA:FALSE -addext subjectAltName={names}",
    )


def _make(here: Path, name: str, options: str) -> None:
    files = f"-config {here}/openssl.conf -keyout {here}/{name}.key -out {here}/{name}.pem"
    run(*f"openssl req -x509 {NEW_KEY} {files} -subj /CN={name} {options}".split())
    (here / f"{name}.key").chmod(0o600)
