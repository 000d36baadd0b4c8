"""Alembic's entry: runs the migrations on the engine that ``Index`` hands over."""

from alembic import context

from xrv_node.index.tables import Base

VERSIONS = "index_version"
"""Beside the audit database's own, where both lie in one."""

with context.config.attributes["engine"].execution_options(begin="IMMEDIATE").connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, version_table=VERSIONS)
    with context.begin_transaction():
        context.run_migrations()
