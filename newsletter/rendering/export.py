"""A rendering as files to look at: personal fields filled with sample values. Pure; the command writes them."""

import json

from newsletter.rendering.mail import Rendering
from newsletter.rendering.personalisation import SAMPLE, ReaderValues, fill, substitutions


def files(rendering: Rendering, values: ReaderValues = SAMPLE) -> dict[str, str]:
    """Give the four files of ``newsletter issue render`` by name."""
    filled = substitutions(rendering.tags, values)
    html, text = fill(rendering.html, filled), fill(rendering.text, filled)
    facts = {
        "subject": fill(rendering.subject, filled),
        "preheader": rendering.preheader,
        "byline": rendering.byline,
        "plan": rendering.plan,
        "links": [*rendering.links, values.unsubscribe_url],
        "sizes": {"html": len(html.encode()), "text": len(text.encode())},
    }
    return {
        "issue.mjml": fill(rendering.mjml, filled),
        "issue.html": html,
        "issue.txt": text,
        "issue.json": json.dumps(facts, ensure_ascii=False, indent=2) + "\n",
    }
