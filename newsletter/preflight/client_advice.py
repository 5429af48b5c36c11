"""What preflight knows about the features that mail programs lack: which are harmless here, and how to do without.

Both tables hold rows of a sentence and the features it is for, by the names of caniemail. A theme that uses a
feature on purpose gets a row in ``_HARMLESS``; the sentence must say why a reader without the feature loses nothing.
"""

_HARMLESS = (
    (
        "every mail is made of these; what is missing are rare values that we do not write",
        (
            "css-background css-border css-display css-display-none css-font-size css-font-weight css-important"
            " css-line-height css-margin css-max-width css-padding css-text-align css-text-decoration css-width"
            " html-align html-body html-height html-lists html-width"
        ),
    ),
    (
        "the mail is right with inline styles alone; a style block only makes it better",
        (
            "html-style css-at-media css-selector-class css-selector-descendant css-selector-grouping css-selector-type"
            " css-selector-chaining css-selector-child css-selector-id"
        ),
    ),
    (
        "dark colours are offered where they are understood; elsewhere the mail is light, or the program recolours it",
        "css-at-media-prefers-color-scheme css-color-scheme html-meta-color-scheme",
    ),
    (
        "only very long words and addresses are cut by them, and most programs know one of the three",
        "css-overflow-wrap css-word-break css-word-wrap",
    ),
    (
        "written for those who listen; nobody sees it, and where it is dropped the words are read all the same",
        "html-aria-label html-aria-hidden html-aria-labelledby html-aria-describedby html-role html-lang html-dir",
    ),
    ("the address itself is taken everywhere; what is dropped is a bcc, which we do not write", "html-mailto-links"),
    ("corners are square where they cannot be round", "css-border-radius"),
    ("lines break elsewhere, and no word is lost", "css-white-space"),
    (
        "written as `auto`, `100%` or on a table's cells, where the pictures and cells find their own height",
        "css-height",
    ),
    ("columns take the widths of their words instead of equal ones", "css-table-layout"),
    ("written to take a browser's own default away, which the programs without it do not have", "css-outline"),
    ("mrml writes it as `normal`, which is the default", "css-word-spacing"),
    (
        "the check of images tells these, with the line of the issue",
        "image-svg image-webp image-avif image-base64",
    ),
    ("a bullet stands beside the box of a task", "css-list-style"),
    ("letters and capitals are set a little otherwise", "css-letter-spacing css-text-transform"),
    ("boxes are wider by their own padding, which ours have on tables and cells only", "css-box-sizing"),
)

#: Why a feature is not reported, by feature.
HARMLESS = {feature: reason for reason, names in _HARMLESS for feature in names.split()}

_MENDS = (
    (
        "write it as a table",
        "css-display-flex css-display-grid css-flex- css-grid- css-align-items css-justify-content",
    ),
    ("give the cells padding", "css-gap css-inset css-left-right-top-bottom"),
    ("write it as a table, with nothing lying over anything else", "css-position css-float css-clear css-z-index"),
    ("write the value itself", "css-variables css-unit-calc css-function- css-unit-v css-unit-rem css-unit-ch"),
    ("write the colour as #rrggbb", "css-rgb css-modern-color"),
    ("write the property as margin, padding, border, width or height", "css-margin- css-padding- css-border-inline"),
    (
        "give a background-color as well, and keep words out of pictures",
        "css-background- css-linear css-radial css-conic",
    ),
    ("name fonts that readers have", "css-at-font-face css-at-import css-sytem-ui"),
    ("write the words into the HTML", "css-pseudo-element-"),
    ("give the elements a class, and write what matters inline", "css-selector- css-pseudo-class- css-nesting"),
    ("give the picture as PNG or JPEG", "image- html-svg html-picture html-srcset"),
    ("link to a page that holds it", "html-form html-input html-button html-select html-textarea html-dialog"),
    ("link a picture to it", "html-video html-audio html-object html-image-maps"),
    ("write it as a div or a table", "html-semantics"),
    ("tell readers where to find it, for the link may not jump", "html-anchor-links"),
)
_ELSE = "leave it out"


def mend(feature: str) -> str:
    """Say what to write instead of a feature."""
    fitting = (advice for advice, names in _MENDS if feature.startswith(tuple(names.split())))
    return next(fitting, _ELSE)
