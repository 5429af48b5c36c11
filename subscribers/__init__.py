"""People: addresses, plans, subscriptions, consent and suppression. Knows nothing of ``newsletter``."""
