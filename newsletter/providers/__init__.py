"""Providers: the port to whoever takes our mail (``base``), and its adapters."""
