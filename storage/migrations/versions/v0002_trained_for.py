"""Runs know the study that they were trained for."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Runs that are there already were trained for nobody knows whom."""
    op.add_column("sweep_runs", sa.Column("trained_for", sa.String(36), nullable=True))
    op.create_index("ix_sweep_runs_trained_for", "sweep_runs", ["trained_for"])
