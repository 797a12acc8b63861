"""What is kept: a database in SQLite or PostgreSQL, its migrations, the audit log, and who may do what."""
