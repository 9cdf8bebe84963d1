"""Runs the revisions on the connection that `booking.migrate` opened; it commits, or nothing happened.

No model is known here: a revision must mean the same for ever, whatever the models have become.
"""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # SQLite cannot alter a column: `op.batch_alter_table` copies the table there, and alters it elsewhere.
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
