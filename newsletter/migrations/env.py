"""Alembic's entry: runs the migrations on the connection it is handed, inside that connection's transaction."""

from alembic import context


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes.get("metadata"),
    # SQLite can roll DDL back; Alembic does not know, and pysqlite is told not to commit by itself.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
