"""A self-hosted email newsletter delivery service: issues, their rendering and their delivery."""
