"""Rehearsal: a whole mailing with invented readers, in a store of its own. The command is ``cli.rehearsing``.

``people`` invents them, ``copying`` lays the real audience's shape over them, ``guard`` lets nobody else be mailed,
``outcome`` reads what came of it, and ``pace`` tells how long the publication's policy would have it take.
"""
