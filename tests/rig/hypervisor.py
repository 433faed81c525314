"""A real libvirt host: libvirtd in network, mount, UTS and process namespaces of its own.

It has its own identity (uuid and hostname), its own /run, /etc, /var/lib, /var/cache and /var/log
of libvirt, and no network but what tests define. Several live beside each other and beside the
system's. Guests survive the daemon, as on a real host, and end with the host: its first process
is the init of a process namespace.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.rig.base import CACHE, accepts, private_directory, spawn, wait_until

DIRECTORIES = {
    "cache": "/var/cache/libvirt",
    "etc": "/etc/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "run": "/run/libvirt",
}
DAEMON_SETTINGS = """
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "{uuid}"
unix_sock_rw_perms = "0777"
"""
# The control groups belong to the machine; log files need no daemon beside; the files of tests
# keep their owner.
GUEST_SETTINGS = """
cgroup_controllers = [{controllers}]
dynamic_ownership = 0
group = "root"
namespaces = []
remember_owner = 0
security_driver = "none"
stdio_handler = "file"
user = "root"
"""
# Mounts, then the one duty of a first process: reap the orphans, guests among them.
INIT = """
set -e
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir /run/libvirt /run/lock
{mounts}
hostname {name}
ip link set lo up
touch {directory}/ready
while :; do sleep 3600 & wait $!; done
"""
# The group of this host takes the place of the machine's own; a bind mount survives the new /sys.
GROUPS = """
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/cpu
mount -t cgroup -o cpu cgroup /mnt
mount --bind /mnt/{group.name} /sys/fs/cgroup/cpu
umount /mnt
"""
CPU_GROUPS = Path("/sys/fs/cgroup/cpu")
MAKE = ["--mount", "--uts", "--net", "--ipc", "--pid"]
ENTER = list(MAKE)
if os.geteuid() != 0:  # root in a namespace of users
    MAKE += ["--map-root-user", "--map-auto"]  # the rest by newuidmap
    ENTER += ["--user", "--preserve-credentials"]
WARM_CACHE = CACHE / "libvirt-cache"


class LibvirtHost:
    """One host. `uri` reaches its daemon; `directory` has the same path inside and outside."""

    def __init__(self, name: str, directory: Path, *, limits_cpu: bool = False) -> None:
        self.name = name
        self.group = CPU_GROUPS / f"rig-{name}" if limits_cpu else None
        """The control group that holds its guests; it takes root."""
        self.directory = directory
        self.uuid = str(uuid.uuid4())
        self.socket = directory / "run/libvirt-sock"
        self.uri = f"qemu+unix:///system?socket={self.socket}"
        self.images = directory / "images"
        """For storage pools."""
        self.daemon_options: tuple[str, ...] = ()
        self._machine: subprocess.Popen[bytes] | None = None
        self._init: psutil.Process | None = None
        self._entered: subprocess.Popen[bytes] | None = None
        self._daemon: psutil.Process | None = None

    # --- the machine ---
    def power_on(self) -> None:
        for folder in (*DIRECTORIES, "images", "etc/qemu/networks"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        (self.directory / "etc/libvirtd.conf").write_text(DAEMON_SETTINGS.format(uuid=self.uuid))
        controllers = '"cpu"' if self.group else ""
        guests = GUEST_SETTINGS.format(controllers=controllers)
        (self.directory / "etc/qemu.conf").write_text(guests)
        mounts = "\n".join(
            f"mount --bind {self.directory}/{ours} {theirs}" for ours, theirs in DIRECTORIES.items()
        )
        if self.group:
            self.group.mkdir()
            mounts = f"{GROUPS.format(group=self.group)}\n{mounts}"
        script = INIT.format(mounts=mounts, name=self.name, directory=self.directory)
        log = self.directory / "log/init"
        self._machine = spawn(
            "unshare", *MAKE, "--mount-proc", "--fork", "--kill-child",
            "sh", "-c", script, log=log,
        )  # fmt: skip
        machine = self._machine.pid
        self._init = wait_until(lambda: _child(machine), "the host's first process", log=log)
        wait_until((self.directory / "ready").exists, "the host's directories", log=log)

    def power_off(self) -> None:
        """Pull the plug: the daemon and all guests are gone at once."""
        if self._init and self._init.is_running():
            self._init.kill()
        if self._entered:
            self._entered.kill()
            self._entered.wait(20)
        if self._machine:
            self._machine.wait(20)
        if self.group:
            inner = [path for path in self.group.rglob("*") if path.is_dir()]
            for path in sorted(inner, key=lambda path: -len(path.parts)):
                path.rmdir()
            self.group.rmdir()

    def within(self, *command: str) -> list[str]:
        """Return the words that run a command inside the host."""
        assert self._init
        return ["nsenter", *ENTER, f"--target={self._init.pid}", *command]

    def run(self, *command: str) -> str:
        """Run a command inside the host, which must succeed; its output."""
        words = self.within(*command)
        done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=20)
        return done.stdout.strip()

    # --- the daemon ---
    def start_daemon(self) -> None:
        log = self.directory / "log/libvirtd"
        words = ("libvirtd", f"--pid-file={self.directory}/libvirtd.pid", *self.daemon_options)
        daemon = self.within(*words)
        self._entered = spawn(*daemon, log=log)
        entered = self._entered.pid
        self._daemon = wait_until(lambda: _child(entered), "libvirtd", log=log)
        wait_until(lambda: accepts(self.socket), "libvirtd's socket", log=log)
        self.virsh("version", "--daemon")

    def stop_daemon(self) -> None:
        """End libvirtd cleanly; guests go on."""
        self._end_daemon(signal.SIGTERM)

    def kill_daemon(self) -> None:
        """End libvirtd without warning; guests go on."""
        self._end_daemon(signal.SIGKILL)

    def _end_daemon(self, how: signal.Signals) -> None:
        assert self._daemon
        assert self._entered
        self._daemon.send_signal(how)
        self.thaw()
        self._entered.wait(20)
        self._daemon = self._entered = None

    def freeze(self) -> None:
        """Let libvirtd hang: it accepts connections and answers nothing."""
        assert self._daemon
        self._daemon.suspend()

    def thaw(self) -> None:
        assert self._daemon
        assert self._entered
        with suppress(psutil.NoSuchProcess):  # killed, and already reaped
            self._daemon.resume()
        self._entered.send_signal(signal.SIGCONT)  # nsenter stops and goes on with its child

    # --- what tests do behind the console's back ---
    def virsh(self, *args: str, seconds: float = 60) -> str:
        """Run virsh on this host; its output, or `CalledProcessError` with its complaint."""
        done = subprocess.run(
            ["virsh", "--quiet", "--connect", self.uri, *args],
            check=False, capture_output=True, text=True, timeout=seconds,
        )  # fmt: skip
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, done.args)
            error.add_note(done.stderr.strip())
            raise error
        return done.stdout.strip()

    def wire(self, other: "LibvirtHost") -> tuple[str, str]:
        """Lay a cable to another host; the addresses of the two ends.

        It takes root: the ends are in networks of two different owners otherwise.
        """
        assert self._init
        assert other._init
        ends = {"10.209.0.1": self._init.pid, "10.209.0.2": other._init.pid}
        first, second = ends.values()
        cable = f"wire{first}"[:15]
        _run("ip", "link", "add", cable, "netns", str(first), "type", "veth",
             "peer", cable, "netns", str(second))  # fmt: skip
        for address, pid in ends.items():
            inside = ("nsenter", "--net", f"--target={pid}", "ip")
            _run(*inside, "addr", "add", f"{address}/24", "dev", cable)
            _run(*inside, "link", "set", cable, "up")
        return "10.209.0.1", "10.209.0.2"

    def recover(self) -> None:
        """Back to a host with a working daemon and nothing on it (networks stay)."""
        if self._daemon and self._daemon.is_running():
            self.thaw()
        else:  # a test ended it, or it crashed: no other test shall suffer
            self.start_daemon()
        for name in self._names("list"):
            self.virsh("undefine", name, "--managed-save", "--snapshots-metadata", "--nvram")
        for name in self._names("pool-list"):
            self.virsh("pool-undefine", name)
        for path in self.images.iterdir():
            path.unlink() if path.is_file() else shutil.rmtree(path)

    def _names(self, command: str) -> list[str]:
        """Pull the plug of all that `command` lists, and name what is still defined then."""
        for name in self.virsh(command, "--name").split():
            self.virsh(command.replace("list", "destroy"), name)
        return self.virsh(command, "--all", "--name").split()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=20)


def _child(pid: int) -> psutil.Process | None:
    children = psutil.Process(pid).children()
    return children[0] if children else None


def _warm(host: LibvirtHost) -> None:
    """Give a new host what libvirt found out about QEMU before: that takes seconds each time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "libvirt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not WARM_CACHE.exists():
            host.start_daemon()
            host.virsh("domcapabilities", "--virttype", "qemu")
            host.stop_daemon()
            fresh = WARM_CACHE.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(host.directory / "cache", fresh)
            fresh.rename(WARM_CACHE)
    shutil.copytree(WARM_CACHE, host.directory / "cache", dirs_exist_ok=True)


@contextmanager
def libvirt_host(name: str = "host", *, limits_cpu: bool = False) -> Iterator[LibvirtHost]:
    """A host with a running daemon."""
    with private_directory(name) as directory:
        host = LibvirtHost(f"{name}-{os.getpid()}", directory, limits_cpu=limits_cpu)
        try:
            host.power_on()
            _warm(host)
            host.start_daemon()
            yield host
        finally:
            host.power_off()
