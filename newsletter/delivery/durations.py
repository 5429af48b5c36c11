"""How long something takes, in words. Pure."""

from datetime import timedelta


_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def in_words(duration: timedelta) -> str:
    """Write how long something takes: the two largest units that say anything."""
    seconds = max(int(duration.total_seconds()), 0)
    parts = []
    for name, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "a moment"
