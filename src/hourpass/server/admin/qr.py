"""QR codes, drawn on the server: what they hold is seen by nobody else."""

import segno
from markupsafe import Markup


def drawn(text: str) -> Markup:
    """An SVG to put into a page, dark on light in both schemes as every camera reads it."""
    code = segno.make_qr(text, error="m")
    return Markup(  # noqa: S704  (numbers and our own words: the text is in the squares)
        code.svg_inline(dark="#000", light="#fff", border=4, svgclass="qr", omitsize=True)
    )
