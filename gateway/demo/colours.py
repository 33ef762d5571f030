"""The colours that products come in, by name, and those that OpenMoji draws with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colour:
    """One colour of the range: three tones as `RRGGBB`, so that a drawing keeps its light and shade."""

    name: str
    name_zh: str
    light: str
    base: str
    dark: str


COLOURS: dict[str, Colour] = {
    colour.name: colour
    for colour in (
        Colour("red", "红色", "F28A7C", "E5483A", "B32D22"),
        Colour("orange", "橙色", "F9C27E", "F28C28", "C5661A"),
        Colour("yellow", "黄色", "FFF3A0", "FBDD3A", "EDBE1C"),
        Colour("gold", "金色", "E9CF8C", "CFA548", "A07A2A"),
        Colour("green", "绿色", "A9D46A", "62AB3F", "3E7A2A"),
        Colour("teal", "青色", "7FD3CC", "2AA79B", "1C7A72"),
        Colour("blue", "蓝色", "A3D0F4", "4A98E0", "2C6CB0"),
        Colour("navy", "藏青色", "5A73A8", "2F4A85", "1F3260"),
        Colour("purple", "紫色", "C3A6DC", "9466C0", "6B4496"),
        Colour("pink", "粉色", "FFC9DA", "F792B5", "D9648F"),
        Colour("brown", "棕色", "B58657", "8A5A33", "62401F"),
        Colour("beige", "米色", "F0E3CB", "DDC6A0", "BBA07A"),
        Colour("black", "黑色", "66666B", "3A3A3E", "28282B"),
        Colour("grey", "灰色", "D3D6DA", "A6AAB0", "7C8188"),
        Colour("white", "白色", "FFFFFF", "F6F5F2", "D9D8D4"),
    )
}

OPENMOJI_TONES: dict[str, str] = {
    "red": "EA5A47", "red-": "D22F27", "red--": "781E32",
    "orange": "F4AA41", "orange-": "E27022",
    "yellow": "FCEA2B", "yellow-": "F1B31C",
    "green": "B1CC33", "green-": "5C9E31", "green--": "186648",
    "blue": "92D3F5", "blue-": "61B2E4", "blue--": "1E50A0",
    "purple": "B399C8", "purple-": "8967AA",
    "pink": "FFA7C0", "pink-": "E67A94",
    "brown": "A57939", "brown-": "6A462F",
    "white": "FFFFFF", "grey": "D0CFCE", "grey-": "9B9B9A", "black": "3F3F3F",
}  # fmt: skip
"""Tones of the OpenMoji palette as `RRGGBB`; each `-` is a step darker."""


def luminance(tone: str) -> float:
    """How bright a tone looks, 0 to 255 (Rec. 601 weights)."""
    red, green, blue = (int(tone[at : at + 2], 16) for at in (0, 2, 4))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def repainting(paint: str, colour: Colour) -> dict[str, str]:
    """Which tone of `colour` stands for each tone named in `paint`; the first named becomes the base.

    >>> repainting("red red-", COLOURS["blue"])
    {'EA5A47': '4A98E0', 'D22F27': '2C6CB0'}
    """
    tones = [OPENMOJI_TONES[name] for name in paint.split()]
    base = luminance(tones[0])
    painted = {tones[0]: colour.base}
    for tone in tones[1:]:
        painted[tone] = colour.light if luminance(tone) > base else colour.dark
    return painted
