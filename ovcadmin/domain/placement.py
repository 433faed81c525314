"""Placement: which host takes a machine, and why each of the others does not.

Hard rules are checked host by host; each gives a sentence with figures and the number short, so
that a refusal, a dry run and the explainer say the same.  Among the hosts that pass, domain/choice
chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ovcadmin.domain.amounts import show_memory, show_storage


class Rule(StrEnum):
    """The hard rules, in the order in which they are shown."""

    SERVES = "serves"
    RETIRED = "retired"
    ENABLED = "enabled"
    MAINTENANCE = "maintenance"
    ANSWERS = "answers"
    CPUS = "cpus"
    VCPUS = "vcpus"
    MEMORY = "memory"
    STORAGE_POOL = "storage_pool"
    IMAGE = "image"
    STORAGE = "storage"
    NETWORK = "network"
    CPU_MODEL = "cpu_model"
    APART = "apart"
    TOGETHER = "together"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A host with a storage pool on it.  Memory in KiB, storage in bytes."""

    host_id: int
    host: str
    responsive: bool
    enabled: bool
    serves: bool
    """Whether the host is attached to the machine's pool or one above it."""
    cpus: int
    memory: int
    """What may be promised in all: without the reserve, times the ratio."""
    memory_committed: int
    """Memory of the machines that run there or were promised to."""
    storage_pool_id: int | None
    storage_available: int
    has_image: bool
    storage_here: int = 0
    """Bytes of the machine's volumes that it reaches already: they need no room."""
    vcpu_room: int = 10**9
    """Number of vCPUs that may be promised in all: CPUs times the ratio."""
    vcpus_committed: int = 0
    maintenance: bool = False
    retired: bool = False
    networks: frozenset[str] = frozenset()
    cpu_model: str = ""
    load: float = 0.0
    """Part of its CPU time that is busy, 0 to 1."""
    trend: float = 0.0
    """How the load grows, per hour."""
    rivals: tuple[str, ...] = ()
    """Machines on it that the wanted one must be kept apart from."""
    companions: tuple[str, ...] = ()
    """Machines elsewhere that the wanted one must be together with."""

    @property
    def unknown(self) -> bool:
        """Whether the host has never told what it has."""
        return not self.responsive and not self.cpus


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is to be placed; `storage` is 0 when the volume is already there."""

    vcpus: int
    memory: int
    storage: int
    image_id: int | None
    image: str
    """The image's name, for the sentences; empty when no copy of it is needed."""
    networks: frozenset[str] = frozenset()
    cpu_model: str = ""
    """The CPU that the guest saw when it booted; empty when it is off."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One rule on one host: whether it passes, and what is short when it does not."""

    rule: Rule
    passed: bool
    text: str
    """What is so, without the host's name: `has 1 GiB of 16 GiB memory free, ...`."""
    short: int = 0
    """How much is missing, in the resource's own unit; 0 where nothing is counted."""
    remedy: str = ""
    """The smallest change that would make this rule pass."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    candidate: Candidate
    checks: tuple[Check, ...] = field(default=())
    score: float = 0.0
    """How well it fits among those that fit; the best has the highest."""

    @property
    def fits(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not, one sentence a rule; empty means that the host can take it."""
        return tuple(
            f"{self.candidate.host} {check.text}" for check in self.checks if not check.passed
        )

    @property
    def summary(self) -> str:
        """All that in one sentence: `kvm-a is in maintenance; does not answer`."""
        failed = "; ".join(check.text for check in self.checks if not check.passed)
        return f"{self.candidate.host} {failed or 'has room'}"

    @property
    def remedies(self) -> tuple[str, ...]:
        return tuple(check.remedy for check in self.checks if not check.passed)


def judge(candidate: Candidate, wanted: Wanted) -> Verdict:
    """Check every rule for one candidate; of a host that never answered, only how it stands."""
    if candidate.unknown:
        return Verdict(candidate=candidate, checks=tuple(_standing(candidate)))
    return Verdict(
        candidate=candidate,
        checks=(
            *_standing(candidate),
            *_compute(candidate, wanted),
            *_storage(candidate, wanted),
            *_company(candidate, wanted),
        ),
    )


def fits(found: Candidate, wanted: Wanted) -> bool:
    """Whether every rule passes; `judge` says why."""
    return (
        wanted.memory <= found.memory - found.memory_committed
        and wanted.vcpus <= found.vcpu_room - found.vcpus_committed
        and wanted.vcpus <= found.cpus
        and wanted.storage - found.storage_here <= found.storage_available
        and (found.storage_pool_id is not None or 0 < wanted.storage <= found.storage_here)
        and found.has_image
        and found.responsive
        and found.enabled
        and found.serves
        and not (found.retired or found.maintenance or found.rivals or found.companions)
        and (not wanted.cpu_model or wanted.cpu_model == found.cpu_model)
        and wanted.networks <= found.networks
    )


def smallest_change(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """Return what would have to change on the host that is nearest to fitting.

    Empty when one fits already, or when there is none at all.
    """
    if any(verdict.fits for verdict in verdicts):
        return ()
    nearest = min(
        verdicts,
        key=lambda v: (
            v.candidate.unknown,
            not v.candidate.serves,
            len(v.remedies),
            sum(check.short for check in v.checks if check.rule is Rule.MEMORY),
            v.candidate.host_id,
        ),
        default=None,
    )
    return nearest.remedies if nearest else ()


def free(candidate: Candidate) -> int:
    """Return the memory that is not promised yet, KiB."""
    return candidate.memory - candidate.memory_committed


def _standing(candidate: Candidate) -> Iterable[Check]:
    """Whether the host takes machines of this pool at all."""
    host = candidate.host
    yield Check(
        rule=Rule.SERVES,
        passed=candidate.serves,
        text="serves this pool" if candidate.serves else "does not serve this pool",
        remedy=f"Attach {host} to this pool or one above it.",
    )
    yield Check(
        rule=Rule.RETIRED,
        passed=not candidate.retired,
        text="is retired" if candidate.retired else "is in use",
        remedy=f"Bring {host} back.",
    )
    yield Check(
        rule=Rule.ENABLED,
        passed=candidate.enabled,
        text=(
            "takes new machines" if candidate.enabled
            else "takes no new machines: it is disabled"
        ),
        remedy=f"Let {host} take new machines.",
    )  # fmt: skip
    yield Check(
        rule=Rule.MAINTENANCE,
        passed=not candidate.maintenance,
        text="is in maintenance" if candidate.maintenance else "is not in maintenance",
        remedy=f"End the maintenance of {host}.",
    )
    yield Check(
        rule=Rule.ANSWERS,
        passed=candidate.responsive,
        text=(
            "answers" if candidate.responsive
            else "has not answered yet" if candidate.unknown else "does not answer"
        ),
        remedy=f"Make {host} answer.",
    )  # fmt: skip


def _compute(candidate: Candidate, wanted: Wanted) -> Iterable[Check]:
    """CPU and memory, with what may be promised beyond what is there."""
    host, left = candidate.host, free(candidate)
    yield Check(
        rule=Rule.CPUS,
        passed=wanted.vcpus <= candidate.cpus,
        text=f"has {candidate.cpus} CPUs, the machine wants {wanted.vcpus}",
        short=max(wanted.vcpus - candidate.cpus, 0),
        remedy=f"Ask for {candidate.cpus} vCPUs or fewer.",
    )
    vcpus = candidate.vcpu_room - candidate.vcpus_committed
    yield Check(
        rule=Rule.VCPUS,
        passed=wanted.vcpus <= vcpus,
        text=(
            f"has {max(vcpus, 0)} of {candidate.vcpu_room} vCPUs left to promise, the machine "
            f"wants {wanted.vcpus}"
        ),
        short=max(wanted.vcpus - vcpus, 0),
        remedy=f"Stop machines with {max(wanted.vcpus - vcpus, 0)} vCPUs on {host}, or raise its "
        "vCPU ratio.",
    )
    short = max(wanted.memory - left, 0)
    yield Check(
        rule=Rule.MEMORY,
        passed=wanted.memory <= left,
        text=(
            f"has {show_memory(max(left, 0))} of {show_memory(candidate.memory)} memory free, "
            f"the machine wants {show_memory(wanted.memory)}"
        ),
        short=short,
        remedy=f"Free {show_memory(short)} of memory on {host}, or ask for that much less.",
    )
    same = not wanted.cpu_model or wanted.cpu_model == candidate.cpu_model
    yield Check(
        rule=Rule.CPU_MODEL,
        passed=same,
        text=(
            "has a CPU that the guest can go on with" if same
            else f"has a {candidate.cpu_model or 'CPU of unknown kind'}, the guest runs on a "
            f"{wanted.cpu_model}"
        ),
        remedy="Stop the machine first: a stopped one boots on any CPU.",
    )  # fmt: skip


def _storage(candidate: Candidate, wanted: Wanted) -> Iterable[Check]:
    host = candidate.host
    reached = candidate.storage_pool_id is not None or 0 < wanted.storage <= candidate.storage_here
    yield Check(
        rule=Rule.STORAGE_POOL,
        passed=reached,
        text=(
            "reaches a storage pool that serves this pool" if reached
            else "has no storage pool that serves this pool"
        ),
        remedy=f"Attach a storage pool of {host} to this pool or one above it.",
    )  # fmt: skip
    yield Check(
        rule=Rule.IMAGE,
        passed=candidate.has_image,
        text=(
            "has what the disk starts from" if candidate.has_image
            else f"has no copy of the image {wanted.image} in its storage pool"
        ),
        remedy=f"Copy the image {wanted.image} to a storage pool of {host}.",
    )  # fmt: skip
    needed = max(wanted.storage - candidate.storage_here, 0)
    short = max(needed - candidate.storage_available, 0)
    yield Check(
        rule=Rule.STORAGE,
        passed=not short,
        text=(
            f"has {show_storage(candidate.storage_available)} of storage free, "
            f"the machine wants {show_storage(needed)}"
        ),
        short=short,
        remedy=f"Free {show_storage(short)} in the storage pool of {host}.",
    )


def _company(candidate: Candidate, wanted: Wanted) -> Iterable[Check]:
    """Networks that must be there, and machines that must or must not."""
    missing = sorted(wanted.networks - candidate.networks)
    yield Check(
        rule=Rule.NETWORK,
        passed=not missing,
        text=(
            f"has no network {', '.join(missing)}" if missing
            else "has the networks of the machine"
        ),
        remedy=f"Make the network {', '.join(missing)} on {candidate.host}.",
    )  # fmt: skip
    rivals, companions = ", ".join(candidate.rivals), ", ".join(candidate.companions)
    yield Check(
        rule=Rule.APART,
        passed=not rivals,
        text=(
            f"has {rivals}, which is to be kept apart from the machine" if rivals
            else "has no machine that must be kept apart"
        ),
        remedy=f"Move {rivals} away from {candidate.host}.",
    )  # fmt: skip
    yield Check(
        rule=Rule.TOGETHER,
        passed=not companions,
        text=(
            f"is not where {companions} lives, which the machine is to be together with"
            if companions else "is where the machine's group lives"
        ),
        remedy=f"Move {companions} to {candidate.host}.",
    )  # fmt: skip
