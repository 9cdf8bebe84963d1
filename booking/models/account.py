"""Accounts, their levels and groups, and the tokens programs come with."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.models.base import Base, Choice, Instant, one_of


class AccountKind(StrEnum):
    """Who comes: one person, a program, or a visitor without a name."""

    PERSON = "person"
    SERVICE = "service"
    ANONYMOUS = "anonymous"


class Role(StrEnum):
    """What a member may do in a group."""

    READER = "reader"
    WRITER = "writer"
    ADMIN = "admin"


class Level(Base):
    """The limits of a level, as set by an administrator; a level without a row has its defaults."""

    __tablename__ = "level"
    __table_args__ = (CheckConstraint("level >= 0", name="level_not_negative"),)

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    limits: Mapped[dict[str, Any]] = mapped_column(JSON)


class Account(Base):
    """One person, service or anonymous visitor."""

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("name"),
        one_of("kind", AccountKind),
        CheckConstraint("level >= 0", name="level_not_negative"),
        Index(None, "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[AccountKind] = mapped_column(Choice(AccountKind))
    level: Mapped[int]
    is_admin: Mapped[bool] = mapped_column(default=False)
    password_hash: Mapped[str | None]
    limits: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What differs from the limits of the level."""
    session_epoch: Mapped[int] = mapped_column(BigInteger, default=0)
    """Advances when every session of this account shall end."""
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)


class Token(Base):
    """A bearer token; only its hash is kept."""

    __tablename__ = "token"
    __table_args__ = (UniqueConstraint("hash"), Index(None, "account_id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"))
    hash: Mapped[str]
    label: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)

    account: Mapped[Account] = relationship(lazy="joined")


class Group(Base):
    """Accounts that share."""

    __tablename__ = "account_group"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(Instant)

    members: Mapped[list[Membership]] = relationship(cascade="all, delete-orphan")


class Membership(Base):
    """That an account belongs to a group, and as what."""

    __tablename__ = "membership"
    __table_args__ = (one_of("role", Role), Index(None, "account_id"))

    group_id: Mapped[str] = mapped_column(ForeignKey("account_group.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), primary_key=True)
    role: Mapped[Role] = mapped_column(Choice(Role))

    account: Mapped[Account] = relationship(lazy="joined")
