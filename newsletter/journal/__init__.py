"""The journal: what must outlive the store, in files beside it: who left, who must not be mailed, who was mailed.

    lines     one line: facts, sealed with a key of the pepper                                  (pure)
    segments  the files: appended to, on the disk before anything goes on, read in order
    entries   what the database wrote down of people, waiting for its line

A restored store is behind the truth. Replaying the journal keeps out who left since, and counts as mailed who may have
been (``backups.replaying``). No line holds an address: only keyed hashes, as suppression keeps them.
"""
