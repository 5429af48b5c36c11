"""Tables of the shelf: issues and the immutable revisions of their source."""

from datetime import datetime

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


class Issue(SQLModel, table=True):
    """One edition of a publication; its text is in its revisions."""

    __table_args__ = (Index("ix_issue_publication", "publication_id"),)

    id: int = Field(default=None, primary_key=True)
    publication_id: int = Field(
        sa_column=Column(Integer, ForeignKey("publication.id", name="fk_issue_publication"), nullable=False)
    )
    title: str
    created_at: datetime
    created_by: str
    #: The revision that was approved for the next free slot, since when and by whom.
    ready_revision_id: int | None = None
    ready_at: datetime | None = None
    ready_by: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))
    #: The checks of preflight whose blockers were overridden with the approval.
    ready_overrides: list[str] = Field(
        default_factory=list, sa_column=Column(JSON, nullable=False, server_default="[]")
    )
    #: Since when nobody can read it here any more.
    retracted_at: datetime | None = None
    retracted_by: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))


class Revision(SQLModel, table=True):
    """One stored, immutable version of an issue's source."""

    __table_args__ = (
        UniqueConstraint("issue_id", "number", name="uq_revision_number"),
        UniqueConstraint("issue_id", "sha256", name="uq_revision_source"),
    )

    id: int = Field(default=None, primary_key=True)
    issue_id: int = Field(sa_column=Column(Integer, ForeignKey("issue.id", name="fk_revision_issue"), nullable=False))
    number: int
    source: str = Field(sa_column=Column(Text, nullable=False))
    sha256: str
    created_at: datetime
    created_by: str
