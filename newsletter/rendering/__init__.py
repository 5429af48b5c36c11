"""Rendering: a cut document becomes one mail for a plan: MJML → HTML with inlined CSS, and a real text part. Pure."""
