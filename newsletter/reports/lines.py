"""The lines that Gmail and Yahoo draw for complaints, of those a mail was delivered to. Pure.

They stand here for every report. The limits that hold a mailing or tell the operator are settings of a publication.
"""

#: To stay under.
STAY_UNDER = 0.001
#: Never to reach: from there mails are refused.
NEVER_REACH = 0.003
LINES = (STAY_UNDER, NEVER_REACH)


def line_reached(share: float) -> float | None:
    """Give the highest line that a share of complaints has reached, if any."""
    return max((line for line in LINES if share >= line), default=None)
