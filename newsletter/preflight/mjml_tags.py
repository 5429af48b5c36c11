"""Whether the theme's template uses tags that MJML has: mrml takes unknown ones without a word, and shows nothing."""

import re
from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity, part


#: The components of MJML 4 (documentation.mjml.io).
_COMPONENTS = """
mjml mj-head mj-body mj-attributes mj-all mj-class mj-breakpoint mj-font mj-html-attributes mj-selector
mj-html-attribute mj-preview mj-style mj-title mj-include mj-raw mj-accordion mj-accordion-element mj-accordion-title
mj-accordion-text mj-button mj-carousel mj-carousel-image mj-column mj-divider mj-group mj-hero mj-image mj-navbar
mj-navbar-link mj-section mj-social mj-social-element mj-spacer mj-table mj-text mj-wrapper
"""
_KNOWN = frozenset(_COMPONENTS.split())
_TAG = re.compile(r"<(mj-?[a-z][a-z-]*)")


def check(edition: Edition) -> Iterator[Finding]:
    """Find tags that MJML does not have."""
    for rendering in edition.renderings:
        for tag in dict.fromkeys(_TAG.findall(rendering.mjml)):
            if tag not in _KNOWN:
                message = f"<{tag}> in issue.mjml.j2 is no tag of MJML, so nothing of it shows: mend its name"
                yield Finding("mjml-tags", Severity.blocker, message, part(rendering))
