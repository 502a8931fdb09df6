"""Tasks may ask for sets or values, not classes alone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tasks that are there already ask for classes, so they have neither."""
    op.add_column("sweep_tasks", sa.Column("target", sa.String(16), nullable=True))
    op.add_column("sweep_tasks", sa.Column("chance", sa.JSON(none_as_null=True), nullable=True))
