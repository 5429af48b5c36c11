"""Issues: Markdown becomes a document (``document``), is cut for a plan (``access``), and is kept (``shelf``)."""
