"""Alembic's entry: runs the migrations on the engine that ``Store.migrate`` hands over."""

from alembic import context

from xrv_node.db import access_tables, fetch_tables  # noqa: F401  # tables of the same metadata
from xrv_node.db.tables import Base

with context.config.attributes["engine"].execution_options(begin="IMMEDIATE").connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
