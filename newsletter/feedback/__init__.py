"""Feedback: what the provider says later of each mail, turned into the right consequence once. After delivery.

``ingest`` keeps a call's raw body before it is answered; ``matching`` finds whose mail each event is about; ``record``
writes what became of it; ``consequences`` decides (pure), ``levelling`` has it carried out; ``surges`` and ``undoing``
are the operator's; ``pulling`` brings the provider's own lists.
"""
