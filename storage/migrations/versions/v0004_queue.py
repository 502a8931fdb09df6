"""Studies may wait in a queue, with the data that go with them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing waits at first."""
    op.create_table(
        "sweep_uploads",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_sweep_uploads"),
    )
    op.create_table(
        "sweep_queue",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("upload", sa.String(64), nullable=True),
        sa.Column("submitted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("cancel", sa.Boolean(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("progress", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["upload"], ["sweep_uploads.digest"], name="fk_sweep_queue_upload"),
        sa.PrimaryKeyConstraint("id", name="pk_sweep_queue"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sweep_queue_upload", "sweep_queue", ["upload"])
    op.create_index("ix_sweep_queue_state_name", "sweep_queue", ["state", "name"])
    for state in ("waiting", "running"):
        op.create_index(
            f"uq_sweep_queue_{state}",
            "sweep_queue",
            ["name"],
            unique=True,
            sqlite_where=sa.text(f"state = '{state}'"),
            postgresql_where=sa.text(f"state = '{state}'"),
        )
