"""What people arrange about quotas: limits of persons, requests for more, and loans."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.domain.resources import NAMES, Limits
from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.people import User
from ovcadmin.models.pools import Pool


class PersonQuota(Numbered, Base):
    """What one person's machines may take in a pool's subtree; one more level of the chain.

    Without a user it is meant for everybody who has no row of his own there.
    """

    __tablename__ = "person_quota"

    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"), index=True)
    vcpus: Mapped[int | None]
    memory: Mapped[int | None]
    nics: Mapped[int | None]
    machines: Mapped[int | None]
    redundancy: Mapped[int | None]
    storage: Mapped[int | None]

    pool: Mapped[Pool] = relationship()
    user: Mapped[User | None] = relationship()

    __table_args__ = (
        UniqueConstraint("pool_id", "user_id"),
        # NULLs differ from each other in a unique constraint: this one allows one "everybody".
        Index(
            "uq_person_quota_everybody",
            "pool_id",
            unique=True,
            sqlite_where=text("user_id IS NULL"),
            postgresql_where=text("user_id IS NULL"),
        ),
        *(CheckConstraint(f"{name} >= 0", name=f"{name}_not_negative") for name in NAMES),
    )

    @property
    def limits(self) -> Limits:
        return Limits(**{name: getattr(self, name) for name in NAMES})


class QuotaRequest(Numbered, Base):
    """Somebody asks for a higher limit of `pool`; who sets that pool's quota decides."""

    __tablename__ = "quota_request"

    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    """The pool whose limit blocks."""
    for_pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"))
    """The pool in which the requester was refused."""
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    amounts: Mapped[dict[str, Any]]
    """How much more is asked for, by resource, in the resource's own unit."""
    note: Mapped[str] = mapped_column(default="")
    state: Mapped[str] = mapped_column(default="open")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    reason: Mapped[str] = mapped_column(default="")
    """What the one who decided wrote."""
    granted: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The limits that were set on approval."""
    seen_at: Mapped[datetime | None]
    """When the requester saw the decision."""

    pool: Mapped[Pool] = relationship(foreign_keys=[pool_id])
    for_pool: Mapped[Pool] = relationship(foreign_keys=[for_pool_id])
    user: Mapped[User] = relationship(foreign_keys=[user_id])
    decided_by: Mapped[User | None] = relationship(foreign_keys=[decided_by_id])

    __table_args__ = (
        CheckConstraint(
            "state IN ('open', 'approved', 'declined', 'withdrawn')", name="state_known"
        ),
        # A second click asks for nothing more.
        Index(
            "uq_quota_request_open",
            "user_id",
            "pool_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )


class Loan(Numbered, Base):
    """An amount of a limit that a pool lends to a sibling until a date."""

    __tablename__ = "loan"

    lender_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    borrower_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    resource: Mapped[str]
    amount: Mapped[int]
    """As it was agreed."""
    lent: Mapped[int]
    """What is still lent; 0 when all of it went back."""
    until: Mapped[datetime]
    grace_days: Mapped[int] = mapped_column(default=0)
    """Days after `until` in which the borrower keeps what it then uses of the loan."""
    note: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    returned_at: Mapped[datetime | None]

    lender: Mapped[Pool] = relationship(foreign_keys=[lender_id])
    borrower: Mapped[Pool] = relationship(foreign_keys=[borrower_id])
    user: Mapped[User | None] = relationship()

    __table_args__ = (
        CheckConstraint("amount > 0 AND lent >= 0 AND lent <= amount", name="amounts"),
        CheckConstraint("lender_id <> borrower_id", name="two_pools"),
        Index(
            "ix_loan_open",
            "until",
            sqlite_where=text("returned_at IS NULL"),
            postgresql_where=text("returned_at IS NULL"),
        ),
    )
