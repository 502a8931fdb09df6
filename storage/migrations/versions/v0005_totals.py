"""What workers did is counted on when old entries leave the queue."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing has left the queue so far."""
    totals = op.create_table(
        "sweep_totals",
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_sweep_totals"),
    )
    keys = ("runs_trained", "ask_seconds", "tell_seconds")
    op.bulk_insert(totals, [{"key": key, "value": 0.0} for key in keys])
