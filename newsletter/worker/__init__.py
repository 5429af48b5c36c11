"""The worker: the clock that begins what is due, and the threads that dispatch. It decides nothing: the ledger does."""
