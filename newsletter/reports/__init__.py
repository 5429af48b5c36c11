"""Reports: what became of issues and of a publication, counted from the ledger and the feedback. Read-only."""
