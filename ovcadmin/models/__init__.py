"""The tables and their invariants.  Importing this package declares every table."""

from ovcadmin.models.addresses import GuestAddress
from ovcadmin.models.base import Base, UtcDateTime, utcnow
from ovcadmin.models.clusters import StorageCluster, StorageRouter
from ovcadmin.models.consoles import ConsoleSession, ConsoleTicket
from ovcadmin.models.help_desk import ABOUT, NOTED, HelpCase, Note
from ovcadmin.models.hosts import (
    Host,
    HostStoragePool,
    HostWatch,
    StoragePool,
    UnmanagedDomain,
)
from ovcadmin.models.knowledge import (
    OWN_INDEX,
    ArticleImage,
    ArticleOpinion,
    ArticleRead,
    ArticleText,
    ArticleVersion,
    KnowledgeArticle,
    Tour,
)
from ovcadmin.models.labels import GroupMember, LogicalGroup, Tag
from ovcadmin.models.machines import Guest, Image, Machine, MachineEvent, Medium, Nic, Volume
from ovcadmin.models.measurements import Measurement
from ovcadmin.models.operations import (
    ENDED,
    Operation,
    OperationLog,
    OperationState,
    OperationStep,
)
from ovcadmin.models.people import Group, Membership, Realm, User
from ovcadmin.models.pools import PENDING, Lineage, Pool, PoolUse, Quota, Reservation
from ovcadmin.models.profiles import LeaseDefault, Profile
from ovcadmin.models.quotas import Loan, PersonQuota, QuotaRequest
from ovcadmin.models.rates import MachineRates, PoolRates
from ovcadmin.models.recordings import ConsolePolicy, Recording, RecordingPart
from ovcadmin.models.records import (
    Audit,
    AuditSeal,
    Change,
    Chore,
    IdempotencyKey,
    Process,
)
from ovcadmin.models.rights import Grant, Role, RolePrivilege
from ovcadmin.models.sign_ins import (
    RecoveryCode,
    SecondFactor,
    Session,
    SignInFailure,
    Token,
    TokenScope,
    ViewAs,
)
from ovcadmin.models.snapshots import Snapshot, SnapshotPart, SnapshotSchedule
from ovcadmin.models.storage import ImageUpload, StorageUsage, VolumeUsage

__all__ = [
    "ABOUT",
    "NOTED",
    "ENDED",
    "OWN_INDEX",
    "PENDING",
    "ArticleImage",
    "ArticleOpinion",
    "ArticleRead",
    "ArticleText",
    "ArticleVersion",
    "Audit",
    "AuditSeal",
    "Base",
    "Change",
    "Chore",
    "ConsolePolicy",
    "ConsoleSession",
    "ConsoleTicket",
    "Grant",
    "GuestAddress",
    "Group",
    "GroupMember",
    "Guest",
    "HelpCase",
    "Host",
    "HostStoragePool",
    "HostWatch",
    "IdempotencyKey",
    "Image",
    "ImageUpload",
    "KnowledgeArticle",
    "LeaseDefault",
    "Lineage",
    "Loan",
    "LogicalGroup",
    "Machine",
    "MachineEvent",
    "MachineRates",
    "Measurement",
    "Medium",
    "Membership",
    "Nic",
    "Note",
    "Operation",
    "OperationLog",
    "OperationState",
    "OperationStep",
    "PersonQuota",
    "Pool",
    "PoolRates",
    "PoolUse",
    "Process",
    "Profile",
    "Quota",
    "QuotaRequest",
    "Realm",
    "Recording",
    "RecordingPart",
    "RecoveryCode",
    "Reservation",
    "Role",
    "RolePrivilege",
    "SecondFactor",
    "Session",
    "SignInFailure",
    "Snapshot",
    "SnapshotPart",
    "SnapshotSchedule",
    "StorageCluster",
    "StoragePool",
    "StorageRouter",
    "StorageUsage",
    "Tag",
    "Token",
    "TokenScope",
    "Tour",
    "UnmanagedDomain",
    "User",
    "UtcDateTime",
    "ViewAs",
    "Volume",
    "VolumeUsage",
    "utcnow",
]
