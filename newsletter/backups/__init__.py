"""Backups: the whole store in one file that was verified, and back again. Beside the reports.

manifest   what a backup says of itself: when, of which shape, how many rows, which keys it needs   (pure)
archive    the file: written whole or not at all, verified before it is believed
snapshots  a store copied as of one moment, on SQLite and on PostgreSQL
taking     a backup is taken
loading    a PostgreSQL backup, into a schema of its own
replaying  what the journal knows and the backup does not
restoring  a backup takes the place of the store, which is kept aside; held until a person releases it
"""
