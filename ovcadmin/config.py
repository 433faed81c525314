# ruff: noqa: RUF009 - `setting` makes a dataclass field
"""Settings: one typed, checked object, read from the ini file.

An unknown or bad setting stops the start with its name and why.  `docs/configuration.md` is made
from these declarations and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from dataclasses import MISSING, Field, dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ovcadmin.domain import image_sources, names
from ovcadmin.errors import SettingInvalid

PREFIX = "ovc."
FOREIGN_PREFIXES = ("pyramid.", "tm.", "retry.")


def _text(value: str) -> str:
    return value.strip()


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        number = int(value)
        if not low <= number <= high:
            raise ValueError(f"must be between {low} and {high}")
        return number

    return read


def _flag(value: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    try:
        return words[value.strip().lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value.strip() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value.strip()

    return read


def _path(value: str) -> Path:
    return Path(value.strip()).expanduser()


def _origin(value: str) -> str:
    parts = urlsplit(value.strip().rstrip("/"))
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path:
        raise ValueError("must look like https://cloud.example.org, without a path")
    return f"{parts.scheme}://{parts.netloc}"


def _listen(value: str) -> str:
    host, _, port = value.strip().rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("must look like 127.0.0.1:6543")
    return value.strip()


def _networks(value: str) -> tuple[str, ...]:
    return tuple(str(ip_network(part)) for part in value.split())


def _groups(value: str) -> tuple[str, ...]:
    return tuple(names.clean_group(part) for part in value.split())


def _sources(value: str) -> tuple[str, ...]:
    found = tuple(line.strip() for line in value.splitlines() if line.strip())
    for line in found:
        image_sources.read(line)
    return found


def _number_of_gb(value: str) -> int:
    return _number(1, 100_000)(value) * 10**9


def setting(read: Callable[[str], Any], help: str, default: Any = MISSING) -> Any:
    return field(default=default, metadata={"read": read, "help": help})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting; the ini file writes them with the prefix `ovc.`."""

    database_url: str = setting(
        _text, "SQLAlchemy address of the database: sqlite:///… or postgresql+psycopg://…"
    )
    data_dir: Path = setting(_path, "Directory for secrets, images and the embedded database")
    seal_key_file: Path | None = setting(
        _path,
        "Key that seals secrets in the database, the same file for all processes; seal.key in "
        "data_dir when empty. Keep a copy apart from the database's backup",
        None,
    )
    template_dir: Path | None = setting(
        _path,
        "Directory for compiled templates, which make the next start fast; templates in data_dir "
        "when empty. Whoever may write there runs code in the web process",
        None,
    )
    public_url: str = setting(
        _origin, "Origin under which browsers reach the console; others are refused", ""
    )
    web_listen: str = setting(_listen, "Address the web process listens on", "127.0.0.1:6544")
    web_threads: int = setting(_number(1, 64), "Threads of the web process", 8)
    gateway_listen: str = setting(_listen, "Address the gateway listens on", "127.0.0.1:6543")
    gateway_front: bool = setting(
        _flag,
        "Whether the gateway passes everything outside /live/ on to the web process "
        "(one machine without a reverse proxy)",
        default=False,
    )
    trusted_proxies: tuple[str, ...] = setting(
        _networks, "Networks whose X-Forwarded-* headers are believed", ("127.0.0.1/32",)
    )
    copyright: str = setting(_text, "Copyright line of every page", "© 2026 OpenvCloud")
    sizes_file: Path | None = setting(
        _path, "sizes.yml; the shipped one when empty. Read again when it changes", None
    )
    log_level: str = setting(
        _one_of("debug", "info", "warning", "error"), "Least severe line that is logged", "info"
    )
    session_idle_minutes: int = setting(
        _number(1, 10080), "Minutes without a request after which a session ends", 120
    )
    session_hours: int = setting(
        _number(1, 720), "Hours after which a session ends whatever happens", 12
    )
    api_rate: int = setting(
        _number(0, 100_000),
        "Requests a second that one token of the REST API may send to the web processes of a "
        "machine, after a burst of ten times as many; 0 is no limit",
        100,
    )
    signin_failures: int = setting(
        _number(1, 1000), "Failed sign-ins of one account within the window before it must wait", 5
    )
    signin_window_minutes: int = setting(
        _number(1, 1440), "Window of the sign-in throttle, minutes", 10
    )
    operation_lease_seconds: int = setting(
        _number(2, 600),
        "Lease of a running operation; a dead worker's work starts again after it",
        15,
    )
    operation_slots: int = setting(
        _number(1, 500), "Operations that one worker runs at the same time", 20
    )
    host_slots: int = setting(
        _number(1, 500),
        "Operations that one worker runs on one host at the same time, so that a hanging host "
        "cannot take all of them",
        6,
    )
    stop_seconds: int = setting(
        _number(1, 600),
        "How long a worker that is told to stop lets running operations go on; another worker "
        "takes over what is left",
        5,
    )
    dispatch: str = setting(
        _one_of("local", "celery"),
        "Carrier of the word that an operation waits: `local` is the database itself, `celery` a "
        "broker (broker_url) for many worker machines",
        "local",
    )
    broker_url: str = setting(
        _text,
        "AMQP broker of the carrier `celery`, such as amqp://ovc:secret@broker.example.org/ovc",
        "",
    )
    worker_groups: tuple[str, ...] = setting(
        _groups, "Host groups that this machine's workers look after; all when empty", ()
    )
    sweep_seconds: int = setting(
        _number(1, 300), "Seconds between two bulk state sweeps of a host", 5
    )
    host_deadline_seconds: int = setting(
        _number(1, 120), "Deadline of an ordinary call to a host, seconds", 8
    )
    migration_speed: int = setting(
        _number(0, 1_000_000),
        "Most MiB a second that the migration of one running machine takes of the network; "
        "0 for all there is",
        0,
    )
    shutdown_seconds: int = setting(
        _number(1, 3600), "How long a guest may take to shut down cleanly", 60
    )
    bin_days: int = setting(
        _number(0, 3650), "Days that a deleted machine rests in the bin; 0 keeps none", 7
    )
    lease_warning_hours: int = setting(
        _number(1, 8760), "Hours before the end of a machine's lease at which it is warned of", 48
    )
    agent_seconds: int = setting(
        _number(0, 86400), "How often agents in guests are asked, in seconds; 0 asks none", 60
    )
    windows_drivers: str = setting(
        _text,
        "How the name of the ISO image with the virtio drivers begins; a new Windows machine gets "
        "the last such image, by name, into its second CD-ROM drive",
        "virtio-win",
    )
    local_host: str = setting(
        _text,
        "libvirt address of this machine itself, enrolled at first start; `auto` finds it, "
        "`none` enrols none",
        "auto",
    )
    local_storage: Path | None = setting(
        _path,
        "Directory of the local host's storage pool, readable by the user that QEMU runs as; "
        "when empty, one below /var/lib/libvirt/images for the system's libvirt, "
        "below data_dir for a session",
        None,
    )
    local_virt_type: str = setting(
        _one_of("auto", "kvm", "qemu"), "Virtualisation of the local host", "auto"
    )
    image_sources: tuple[str, ...] = setting(
        _sources,
        "Where images may be fetched from: one address a line, such as "
        "https://images.example.org/cloud/, and everything below it; `private` behind it when the "
        "server is in one's own network. Nothing may be fetched when empty",
        (),
    )
    largest_image: int = setting(
        _number_of_gb, "Largest file of the image library, GB", 1000 * 10**9
    )
    conversion_dir: Path | None = setting(
        _path,
        "Directory of machine templates (qcow2) that may be converted to base images; "
        "`templates` in data_dir when empty",
        None,
    )
    starter_image: Path | None = setting(
        _path, "Raw file of the starter image, registered at first start", None
    )
    ticket_seconds: int = setting(
        _number(5, 600), "How long a console ticket may wait to be used", 60
    )
    console_keep_minutes: int = setting(
        _number(0, 120), "How long a console session outlives its page, minutes", 10
    )
    consoles_per_user: int = setting(
        _number(1, 1000), "Consoles and terminals that one user may hold open", 20
    )
    console_idle_minutes: int = setting(
        _number(1, 10080), "Minutes without a key after which a console ends", 240
    )
    console_hours: int = setting(
        _number(1, 720), "Hours after which a console ends whatever happens", 24
    )
    recording_megabytes: int = setting(
        _number(1, 10_000),
        "Size at which the recording of one console ends, MB; the console itself goes on",
        100,
    )
    host_shell: bool = setting(
        _flag,
        "Whether those with the privilege to type into hosts get a shell there, by ssh from the "
        "gateway",
        default=False,
    )
    libvirt_certificates: Path | None = setting(
        _path,
        "Directory with cacert.pem, clientcert.pem and clientkey.pem: by them workers and the "
        "gateway prove themselves to hosts at qemu+tls addresses; without it libvirt looks in "
        "/etc/pki and, for accounts other than root, in ~/.pki/libvirt",
        None,
    )
    host_shell_user: str = setting(_text, "Account of a host's shell", "openvcloud")
    host_shell_port: int = setting(_number(1, 65535), "Port of the hosts' ssh", 22)
    host_shell_key: Path | None = setting(
        _path, "Private key with which the gateway signs in", None
    )
    host_shell_known_hosts: Path | None = setting(
        _path, "known_hosts with the keys of all hosts; one that is not in it is refused", None
    )
    viewer_listen: str = setting(
        _listen,
        "Address at which the gateway lets remote-viewer in, each time for one file that was "
        "downloaded; empty lets none in",
        "",
    )
    viewer_certificate: Path | None = setting(
        _path,
        "PEM file of certificate and key with which remote-viewer's connections are encrypted "
        "(VeNCrypt X509); without it they are not",
        None,
    )
    terminal: bool = setting(
        _flag, "Whether pages have an embedded terminal, in which `ovc` runs", default=True
    )

    @classmethod
    def from_file(cls, path: Path) -> Settings:
        """Read the `[app:main]` section of an ini file; `%(here)s` is the file's directory."""
        parser = ConfigParser(defaults={"here": str(path.resolve().parent)})
        try:
            parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
            section = dict(parser["app:main"])
        except (OSError, UnicodeDecodeError, IniError, KeyError) as error:
            raise SettingInvalid(f"{path} is no settings file: {error}.", file=str(path)) from error
        # `use` is for the loader of WSGI applications.
        return cls.from_mapping({k: v for k, v in section.items() if k not in ("here", "use")})

    @classmethod
    def from_mapping(cls, raw: Mapping[str, str]) -> Settings:
        """Read the settings of an ini section; raises `SettingInvalid` naming the first bad one."""
        known = {PREFIX + spec.name: spec for spec in fields(cls)}
        values: dict[str, Any] = {}
        for name, text in raw.items():
            spec = known.get(name)
            if spec is None:
                _refuse_unknown(name)
            elif text.strip():
                values[spec.name] = _read(name, spec, text)
        for name, spec in known.items():
            if spec.default is MISSING and spec.name not in values:
                raise SettingInvalid(f"{name} is missing: {spec.metadata['help']}.", setting=name)
        if values.get("dispatch") == "celery" and "broker_url" not in values:
            raise SettingInvalid(
                "ovc.dispatch = celery: the carrier needs ovc.broker_url.", setting="ovc.broker_url"
            )
        return cls(**values)


def _refuse_unknown(name: str) -> None:
    if name.startswith(FOREIGN_PREFIXES):
        return
    raise SettingInvalid(
        f"{name} is no setting of OpenvCloud admin. See docs/configuration.md.", setting=name
    )


def _read(name: str, spec: Field[Any], text: str) -> Any:
    try:
        return spec.metadata["read"](text)
    except ValueError as error:
        raise SettingInvalid(f"{name} = {text}: {error}.", setting=name) from error
