"""Alembic's entry: runs the migrations on the engine that ``Store.migrate`` hands over."""

from alembic import context

from xrv_node.db.fetch_tables import Base

with context.config.attributes["engine"].execution_options(begin="IMMEDIATE").connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
