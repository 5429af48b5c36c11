"""Delivery: from a scheduled mailing to every reader's row, accounted for.

The way of a mailing, a module each: ``scheduling`` → ``audience`` (freeze) → ``batching`` → ``dispatch`` → provider;
``lifecycle`` says which states may follow which, ``progress`` derives where a mailing stands.
"""
