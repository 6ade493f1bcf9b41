"""A QR code as a picture that any page can show."""

import segno


def qr_code(text: str) -> str:
    """Return an SVG as a `data:` URL."""
    uri: str = segno.make(text, error="m", micro=False).svg_data_uri(scale=4, border=4)
    return uri
