"""Notices: single mails about one subscription, from the outbox to the provider.

``kinds`` says whom each kind may reach and where its link leads, ``addressing`` finds the reader, ``rendering`` writes
the mail, ``claims`` and ``dispatch`` send it once. Beside ``delivery``, which sends issues to many.
"""
