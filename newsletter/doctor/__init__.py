"""The doctor: whether this installation can mail real readers, and how a mail arrived. One file a group of checks.

Read-only: it asks SendGrid, name servers, the store and the machine, and changes nothing anywhere.
"""
