"""Which features of CSS and HTML a mail uses, by the names that caniemail gives them. Pure.

The names are mostly those of CSS and HTML themselves; the tables here hold only what cannot be derived.
"""

import re
from collections.abc import Collection, Iterator

from newsletter.preflight.mail_source import Element, Sheet, Source, Style


#: Properties that are not looked up under their own name, nor under its beginning (``padding-left``: ``padding``).
_PROPERTIES = [
    (re.compile(pattern), slug)
    for pattern, slug in (
        (r"(?:column|row)-gap", "css-gap"),
        (r"left|right|top|bottom", "css-left-right-top-bottom"),
        (r"columns|column-(?!count).*", "css-column-layout-properties"),
        (r"(?:block|inline)-size", "css-block-inline-size"),
        (r"(margin|padding)-(?:inline|block)", r"css-\1-inline-block"),
        (r"(margin|padding)-(inline|block)-.*", r"css-\1-\2-start-end"),
        (r"border-(?:inline|block)", "css-border-inline-block"),
        (r"border-(?:inline|block)-(?:start|end).*", "css-border-inline-block-individual"),
        (r"border-(?:inline|block)-.*", "css-border-inline-block-longhand"),
        (r"border-(?:top|bottom)-(?:left|right)-radius", "css-border-radius"),
        (r"border-(?:start|end)-(?:start|end)-radius", "css-border-radius-logical"),
        # `font` is the shorthand, which may fail where these do not.
        (r"font-(?:family|style|variant)", "none"),
    )
]
_DECLARATIONS = [
    (re.compile(pattern), slug)
    for pattern, slug in (
        (r"display:.*\bflex\b", "css-display-flex"),
        (r"display:.*\bgrid\b", "css-display-grid"),
        (r"display:none", "css-display-none"),
        (r"!\s*important", "css-important"),
        (r":initial\b", "css-unit-initial"),
        (r"\b(?:fit|min|max)-content\b", "css-intrinsic-size"),
        # Written so there.
        (r"\b(?:system-ui|ui-(?:sans-serif|serif|rounded|monospace))\b", "css-sytem-ui"),
        # With commas it is safe everywhere; with spaces Gmail drops the whole style block.
        (r"\brgba?\([^,()]*\s[^,()]*\)", "css-rgb"),
        (r"\brgba\(", "css-rgba"),
        (r"\bvar\(|^--", "css-variables"),
        (r"\bcalc\(", "css-unit-calc"),
        (r"\b(?:ok)?l(?:ch|ab)\(", "css-modern-color"),
    )
]
_SELECTORS = [
    (re.compile(pattern), slug)
    for pattern, slug in (
        (r"\[", "css-selector-attribute"),
        (r">", "css-selector-child"),
        (r"\+(?!\s*\d)", "css-selector-adjacent-sibling"),
        (r"~(?!=)", "css-selector-general-sibling"),
        (r"\*(?!=)", "css-selector-universal"),
        (r",", "css-selector-grouping"),
        (r"#[\w-]", "css-selector-id"),
        (r"\.[\w-]", "css-selector-class"),
        (r"\.[\w-]+\.", "css-selector-chaining"),
        (r"[\w\])]\s+[\w.#*:\[]", "css-selector-descendant"),
        (r"(?:^|[\s>+~,])[a-z]", "css-selector-type"),
    )
]
_FUNCTION = re.compile(r"\b(?:repeating-)?([a-z][a-z-]*)\(")
_UNIT = re.compile(r"(?<![\w#.])[+-]?[\d.]++([a-z]+|%)")
_PSEUDO = re.compile(r"::?([a-z-]+)")
_MEDIA = re.compile(r"\(\s*(?:-webkit-)?(?:min-|max-)?(?:any-)?([a-z-]+)")
_ENDING = re.compile(r"\.([a-z0-9]+)(?:[?#]|$)", re.IGNORECASE)

_HEADINGS = {f"h{level}" for level in range(1, 7)}
_SEMANTIC = {
    "article",
    "aside",
    "details",
    "figcaption",
    "figure",
    "footer",
    "header",
    "main",
    "mark",
    "nav",
    "section",
}
_TAGS = (
    dict.fromkeys(_HEADINGS, "html-h1-h6")
    | dict.fromkeys(_SEMANTIC | {"summary", "time"}, "html-semantics")
    | dict.fromkeys(("ul", "ol", "dl"), "html-lists")
    | dict.fromkeys(("map", "area"), "html-image-maps")
)
#: These names are attributes there; every other ``html-…`` is an element.
_ATTRIBUTES = re.compile(
    r"v?align|aria-.*|background|cell(?:padding|spacing)|dir|height|hidden|lang|loading|popover|required|role|srcset"
    r"|target|width"
)
_ATTRIBUTE_SLUGS = {"loading": "html-loading-attribute", "sizes": "html-srcset", "inert": "css-inert-attribute"}
_FORMATS = {"jpeg": "jpg", "tif": "tiff", "heic": "heif"}


def features(source: Source, known: Collection[str]) -> frozenset[str]:
    """List the features that a mail uses, of those that are known."""
    found = {slug for element in source.elements for slug in _of_element(element)}
    # What is hidden need not look well; the line for the inbox is hidden in every way there is.
    sheets = {*source.sheets, *(element.sheet for element in source.elements if not element.hidden)}
    found |= {slug for sheet in sheets for slug in _of_sheet(sheet, known)}
    return frozenset(found & set(known))


def _of_element(element: Element) -> Iterator[str]:
    tag, attributes = element.tag, element.attributes
    yield _TAGS.get(tag, "none" if _ATTRIBUTES.fullmatch(tag) else f"html-{tag}")
    yield from (f"html-{name}" for name in attributes if _ATTRIBUTES.fullmatch(name))
    yield from (_ATTRIBUTE_SLUGS[name] for name in attributes if name in _ATTRIBUTE_SLUGS)
    if tag in {"input", "button"}:
        yield f"html-{tag}-{attributes.get('type', 'text' if tag == 'input' else 'submit').lower()}"
    if tag == "a":
        target = attributes.get("href", "").strip().lower()
        yield "html-anchor-links" if target.startswith("#") else f"html-{target.partition(':')[0]}-links"
    if tag == "meta":
        yield f"html-meta-{attributes.get('name', '').lower()}"
    yield from _of_address(attributes.get("src", "") if tag == "img" else attributes.get("background", ""))


def _of_sheet(sheet: Sheet, known: Collection[str]) -> Iterator[str]:
    if sheet.nested:
        yield "css-nesting"
    for rule in sheet.at_rules:
        yield "css-at-" + re.split(r"[^@a-z-]", rule)[0].lstrip("@")
        yield from (f"css-at-media-{name}" for name in _MEDIA.findall(rule))
    for selector in sheet.selectors:
        yield from _of_selector(selector)
    for style in sheet.styles:
        yield from _of_style(style, known)
    for url in sheet.urls:
        yield from _of_address(url)


def _of_selector(selector: str) -> Iterator[str]:
    for name in _PSEUDO.findall(selector):
        yield f"css-pseudo-class-{name}"
        yield f"css-pseudo-element-{name}"
    yield from (slug for pattern, slug in _SELECTORS if pattern.search(selector))


def _of_style(style: Style, known: Collection[str]) -> Iterator[str]:
    yield _of_property(style.name, known)
    yield from (slug for pattern, slug in _DECLARATIONS if pattern.search(f"{style.name}:{style.value}"))
    for name in _FUNCTION.findall(style.value):
        yield f"css-function-{name}"
        if name.endswith("gradient"):
            yield f"css-{name}"
    for unit in _UNIT.findall(style.value):
        yield "css-unit-percent" if unit == "%" else f"css-unit-{unit}"


def _of_property(name: str, known: Collection[str]) -> str:
    for pattern, slug in _PROPERTIES:
        if match := pattern.fullmatch(name):
            return match.expand(slug)
    while f"css-{name}" not in known and "-" in name:
        name = name.rpartition("-")[0]
    return f"css-{name}"


def _of_address(address: str) -> Iterator[str]:
    if address.lower().startswith("data:"):
        yield "image-base64"
    elif match := _ENDING.search(address):
        ending = match[1].lower()
        yield f"image-{_FORMATS.get(ending, ending)}"
