"""Tasks, runs, studies, trials and leases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From a database without tables of ours."""
    op.create_table(
        "sweep_tasks",
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("timesteps", sa.Integer(), nullable=False),
        sa.Column("features", sa.Integer(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("class_counts", sa.JSON(), nullable=False),
        sa.Column("origin", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_sweep_tasks"),
    )
    op.create_table(
        "sweep_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("ended", sa.String(16), nullable=False),
        sa.Column("solved_epoch", sa.Integer(), nullable=True),
        sa.Column("task", sa.String(32), nullable=False),
        sa.Column("configuration", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.Float(53), nullable=False),
        sa.Column("semantics", sa.Integer(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("curves", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sweep_runs"),
        sa.UniqueConstraint("key", name="uq_sweep_runs_key"),
        sa.ForeignKeyConstraint(["task"], ["sweep_tasks.fingerprint"], name="fk_sweep_runs_task"),
    )
    op.create_index("ix_sweep_runs_task", "sweep_runs", ["task"])
    op.create_index("ix_sweep_runs_key_solved_epoch", "sweep_runs", ["key", "solved_epoch"])
    op.create_table(
        "sweep_studies",
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("budget", sa.Integer(), nullable=False),
        sa.Column("task", sa.String(32), nullable=False),
        sa.Column("task_name", sa.Text(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("directions", sa.JSON(), nullable=False),
        sa.Column("metric_names", sa.JSON(), nullable=False),
        sa.Column("user_attrs", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("uuid", name="pk_sweep_studies"),
        sa.UniqueConstraint("name", name="uq_sweep_studies_name"),
        sa.ForeignKeyConstraint(
            ["task"], ["sweep_tasks.fingerprint"], name="fk_sweep_studies_task"
        ),
    )
    op.create_index("ix_sweep_studies_task", "sweep_studies", ["task"])
    op.create_table(
        "sweep_trials",
        sa.Column("study", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("distributions", sa.JSON(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("user_attrs", sa.JSON(), nullable=False),
        sa.Column("system_attrs", sa.JSON(), nullable=False),
        sa.Column("intermediate", sa.JSON(), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("study", "number", name="pk_sweep_trials"),
        sa.ForeignKeyConstraint(
            ["study"], ["sweep_studies.uuid"], name="fk_sweep_trials_study", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "sweep_trial_runs",
        sa.Column("study", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("replicate", sa.Integer(), nullable=False),
        sa.Column("run_key", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("study", "number", "replicate", name="pk_sweep_trial_runs"),
        sa.ForeignKeyConstraint(
            ["study", "number"],
            ["sweep_trials.study", "sweep_trials.number"],
            name="fk_sweep_trial_runs_study_number",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_key"], ["sweep_runs.key"], name="fk_sweep_trial_runs_run_key"
        ),
    )
    op.create_index("ix_sweep_trial_runs_run_key", "sweep_trial_runs", ["run_key"])
    op.create_table(
        "sweep_leases",
        sa.Column("study_name", sa.String(255), nullable=False),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("since", sa.Float(53), nullable=False),
        sa.Column("heartbeat", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("study_name", name="pk_sweep_leases"),
    )
