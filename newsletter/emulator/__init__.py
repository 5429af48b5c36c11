"""The emulator: a SendGrid on this machine that behaves like the real one where it matters, and shows what it got.

An honest outside party: it imports nothing of the rest, and is reached over HTTP like the real one. Nothing it takes
is ever delivered to anybody. What it does is what SendGrid documents, and what was observed of it; where sources
disagree the smaller limit holds.
"""
