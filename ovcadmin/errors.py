"""One tree of domain errors.

Every error has a stable `code` (with an article in `knowledge/errors/`), a text for people that
says what happened, on which object, why and what to do, and a `context` of plain values for
machines.  Raising rolls the transaction back; each face (pages, REST, worker) makes an answer of
it.  `expected` errors are part of normal work and are logged without a traceback.
"""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """Root of the tree.  `text` is shown to people, `context` travels as JSON."""

    code: ClassVar[str] = "internal"
    expected: ClassVar[bool] = True

    def __init__(self, text: str, **context: Any) -> None:
        super().__init__(text)
        self.text = text
        self.context = context


class InvalidInput(DomainError):
    """Bad input.  `fields` maps a field's name to what is wrong with it."""

    code = "input.invalid"

    def __init__(self, text: str, *, fields: dict[str, str] | None = None, **context: Any) -> None:
        super().__init__(text, **context)
        self.fields = fields or {}


class NotFound(DomainError):
    """The object does not exist, or may not be seen: the two answers are the same."""

    code = "object.not_found"


class NotSignedIn(DomainError):
    code = "session.required"


class Forbidden(DomainError):
    """The object may be seen but not touched this way."""

    code = "access.forbidden"


class GrantBeyond(Forbidden):
    """A role that holds a privilege which its giver lacks on that pool.  Context: `privileges`."""

    code = "grant.beyond"


class ViewingOnly(Forbidden):
    """Nothing is changed while the console is looked at as somebody else."""

    code = "view_as.read_only"


class CsrfFailed(Forbidden):
    code = "request.csrf"


class RequestRefused(DomainError):
    """A request that no page or client of ours would send."""

    code = "request.malformed"


class RequestTooLarge(RequestRefused):
    code = "request.too_large"


class MethodNotAllowed(RequestRefused):
    """The address exists, but not for this method.  Context: `allow`, the methods that it has."""

    code = "request.method"


class PreconditionMissing(RequestRefused):
    """A change without saying which version of the object it is meant for."""

    code = "request.precondition"


class RateExceeded(RequestRefused):
    """A token sent too many requests; `retry_after` seconds in the context."""

    code = "request.rate"


class HostRefused(RequestRefused):
    """The request names a host that is not this console."""

    code = "request.host"


class SignInFailed(DomainError):
    """Wrong name or password, or a disabled user: one answer for all three."""

    code = "signin.failed"


class SignInThrottled(SignInFailed):
    """Too many failures.  Context: `retry_after`, seconds."""

    code = "signin.throttled"


class SignInBarred(SignInFailed):
    """The directory knows the user, but does not let him in.  Context: `reason`."""

    code = "signin.barred"


class KerberosRefused(SignInFailed):
    """The browser's Kerberos ticket is not one that signs a person in."""

    code = "signin.kerberos"


class Conflict(DomainError):
    """The request is well formed, but does not fit the present state."""

    code = "object.conflict"


class Outdated(Conflict):
    """Somebody else changed the object since it was looked at (lost update)."""

    code = "object.outdated"


class IdempotencyMismatch(Conflict):
    """An Idempotency-Key that stood for another request."""

    code = "request.idempotency"


class NameTaken(Conflict):
    code = "name.taken"


class ObjectInUse(Conflict):
    code = "object.in_use"


class GrantExists(Conflict):
    """The user or group has a grant on this very pool already.  Context: `grant_id`."""

    code = "grant.exists"


class LastSuperAdmin(Conflict):
    """Somebody must always be Super Admin of the root."""

    code = "grant.last_super_admin"


class StateConflict(Conflict):
    """The action is not allowed from the machine's state (the state to come included)."""

    code = "machine.state"


class MachineProtected(Conflict):
    """The machine is protected against deletion."""

    code = "machine.protected"


class Busy(Conflict):
    """Another request took the machine's operation slot in the same moment."""

    code = "machine.busy"


class PoolFrozen(Conflict):
    code = "pool.frozen"


class PoolBusy(Conflict):
    """Operations run in the pool.  Context: `operations`, their titles."""

    code = "pool.busy"


class MachineTooLarge(Conflict):
    """No host that serves the pool could ever run the machine, whatever the quota leaves."""

    code = "machine.too_large"


class QuotaExceeded(Conflict):
    """A limit of the pool or of one above it does not leave room.  Context: `blocks`."""

    code = "quota.exceeded"


class PlacementFailed(Conflict):
    """No host can take the machine.  Context: `hosts`, a verdict each."""

    code = "placement.no_host"


class RunsElsewhere(Conflict):  # another guest has its disks: context `host` and `domain`
    code = "machine.elsewhere"


class AdoptionRefused(Conflict):
    """`reasons`: what of the domain the console cannot manage, one sentence each."""

    code = "host.domain_unfit"


class TicketRefused(DomainError):
    """A console ticket that is unknown, used, expired or for something else."""

    code = "console.ticket"


class ConsoleUnavailable(Conflict):
    """Only a running machine on a host that answers has a console."""

    code = "console.unavailable"


class TooManyConsoles(Conflict):
    """The user holds as many console sessions open as one user may."""

    code = "console.limit"


class OperationCancelled(DomainError):
    code = "operation.cancelled"


class LeaseLost(DomainError):
    """Another attempt owns the operation now; this one must not write any more."""

    code = "operation.lease_lost"


class WorkerLost(DomainError):
    """The worker died in the middle of an operation that may not be run twice."""

    code = "operation.worker_lost"


class OutsideError(DomainError):
    """The outside world (hypervisor, storage, directory) failed or refused."""

    code = "outside.failed"


class HostUnresponsive(OutsideError):
    """The host does not answer: its circuit is open or the deadline passed."""

    code = "host.unresponsive"


class HostUnreachable(HostUnresponsive):
    """No connection to the host can be opened."""

    code = "host.unreachable"


class MaintenanceIncomplete(OutsideError):
    """Machines are still on a host that was to be cleared.  Context: `machines`, their names."""

    code = "host.maintenance"


class HypervisorFailed(OutsideError):
    """libvirt or QEMU refused the call.  The original text is kept."""

    code = "hypervisor.failed"


class DomainMissing(HypervisorFailed):
    """The host does not know the domain."""

    code = "hypervisor.domain_missing"


class GuestTimeout(OutsideError):
    """The guest did not follow a request (a clean shutdown) in time."""

    code = "guest.timeout"


class StorageFailed(OutsideError):
    code = "storage.failed"


class StorageFull(StorageFailed):
    code = "storage.full"


class StorageUnavailable(StorageFailed):
    """No storage pool has a free volume of the size or room for one.  Context: `storage_pools`."""

    code = "storage.none"


class StorageUnreachable(StorageFailed):
    """No storage router of the cluster answers in time.  Context: `routers`, what each said."""

    code = "storage.unreachable"


class StorageRefused(StorageFailed):
    """The cluster answers and says no: client, secret, roles, certificate, or too many tokens."""

    code = "storage.refused"


class StorageInUse(StorageFailed):
    """Other volumes were cloned from it.  Context: `children`, their names."""

    code = "storage.in_use"


class StorageTaskLost(StorageFailed):
    """A task of the cluster neither ended in time nor left what it was to make."""

    code = "storage.task_lost"


class ImageInvalid(StorageFailed):
    """The file is not what the image claims to be (format, size, checksum)."""

    code = "image.invalid"


class DownloadRefused(Forbidden):
    """An address that images may not be fetched from.  Context: `url`."""

    code = "image.source"


class DownloadFailed(OutsideError):
    """The server of an image does not answer, or sends something else than was asked for."""

    code = "image.download"


class DirectoryUnreachable(OutsideError):
    """No server of the directory answers in time."""

    code = "directory.unreachable"


class DirectoryRefused(OutsideError):
    """The directory answers and says no: certificate, service account, rights, or the request."""

    code = "directory.refused"


class DirectoryPartial(OutsideError):
    """The directory gave only a part of what was asked for; nothing may be concluded from it."""

    code = "directory.partial"


class DatabaseUnavailable(DomainError):
    """The console's own database does not answer, or lets nobody write just now."""

    code = "database.unavailable"
    expected = False


class DatabaseFull(DatabaseUnavailable):
    code = "database.full"


class SettingInvalid(DomainError):
    """A setting is unknown or bad: the process does not start."""

    code = "setting.invalid"


class Unexpected(DomainError):
    """A defect of ours.  The text shown to people names only the request."""

    code = "internal"
    expected = False


def codes() -> dict[str, type[DomainError]]:
    """Return every code of the tree with the class that first declares it."""
    found: dict[str, type[DomainError]] = {}
    for kind in (waiting := [DomainError]):
        found.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    return found
