"""A rendering as files to look at: personal fields filled with sample values. Pure; the command writes them."""

import json

from newsletter.rendering.mail import Rendering, links_in
from newsletter.rendering.personalisation import SAMPLE, ReaderValues, fill, values_by_tag


def files(rendering: Rendering, values: ReaderValues = SAMPLE) -> dict[str, str]:
    """Give the four files of ``newsletter issue render`` by name."""
    filled = values_by_tag(rendering.substitutions, values)
    html, text = fill(rendering.html, filled), fill(rendering.text, filled)
    facts = {
        "subject": fill(rendering.subject, filled),
        "preheader": fill(rendering.preheader, filled),
        "byline": rendering.byline,
        "plan": rendering.plan,
        "links": list(dict.fromkeys(links_in(html))),
        "sizes": {"html": len(html.encode()), "text": len(text.encode())},
    }
    return {
        "issue.mjml": fill(rendering.mjml, filled),
        "issue.html": html,
        "issue.txt": text,
        "issue.json": json.dumps(facts, ensure_ascii=False, indent=2) + "\n",
    }
