"""Characters that no mail can hold: they are left out before anything is read. Pure; asked by ``document``."""

import re


#: Controls (of which XML, and so MJML, takes none but tab and line ends), lone surrogates, and noncharacters. Those of
#: U+0080 to U+009F stay: they are a wrong encoding, which preflight tells with its place.
_UNFIT = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
#: What Word writes for a line end inside a paragraph, and for one between pages.
_BREAKS = re.compile("[\x0b\x0c]")


def fit(text: str) -> str:
    """Give a text without the characters that no mail can hold; its lines stay where they are."""
    return _UNFIT.sub("", _BREAKS.sub(" ", text))
