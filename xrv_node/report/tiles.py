"""Where the small pictures of one large one go."""

from __future__ import annotations

from dataclasses import dataclass

from xrv_node.report.lettering import LINES, PANEL

WIDTH, HEIGHT = 1536, 1024
"""Pixels of a picture without its band: what a viewer's window on a common screen shows one to one."""
_LOWEST = 400
"""Pixels of the smallest height: text of fewer than ten pixels cannot be read."""
_NEARLY = 0.9
"""Part of the largest possible tile that is still as good."""
_SLIMMEST, _WIDEST = 0.5, 2.0
"""Width by height of a tile; an image outside that (a strip) gets a border instead of a tile of one pixel."""
_TITLE = 1.6 / LINES
"""Height of a tile's title as a share of the whole picture's."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Equal tiles in rows and columns, each with its title above it. All in pixels."""

    rows: int
    columns: int
    tile: tuple[int, int]
    """Height and width of a tile without its title."""
    title: int
    """Height of a title."""

    @property
    def height(self) -> int:
        """Of the whole grid."""
        return self.rows * (self.tile[0] + self.title)

    @property
    def width(self) -> int:
        """Of the whole grid."""
        return self.columns * (self.tile[1] + self.gap)

    @property
    def gap(self) -> int:
        """What is left free to the right of a tile, so that two images do not run into one."""
        return self.title // 4

    def place(self, number: int) -> tuple[int, int]:
        """Return the top left corner (row, column) of a tile without its title; they are numbered from 0."""
        row, column = divmod(number, self.columns)
        return row * (self.tile[0] + self.title) + self.title, column * (self.tile[1] + self.gap)


def arrange(count: int, rows: int, columns: int) -> Grid:
    """Arrange tiles so that each is as large as it can be, with the text's panel beside them.

    Parameters
    ----------
    count : int
        Tiles, at least 1.
    rows, columns : int
        Pixels of the image that each shows, at least 1.

    Returns
    -------
    Grid
        Its tiles together with the panel fit `WIDTH` and `HEIGHT`, except that they are never lower than can
        be read; a tile has the image's shape, within bounds.
    """
    aspect = min(max(columns / rows, _SLIMMEST), _WIDEST)
    filled = [n for n in range(1, count + 1) if (n - 1) * -(-count // n) < count]  # no row stays empty
    heights = {n: _height(n, -(-count // n), aspect) for n in filled}
    # Of nearly the same tiles, the higher picture: its text is larger.
    best = max(n for n, height in heights.items() if height >= _NEARLY * max(heights.values()))
    across = -(-count // best)
    whole = max(_LOWEST, best * heights[best])
    title = round(whole * _TITLE)
    tile = max(1, int(whole / best - title))
    return Grid(best, across, (tile, max(1, round(tile * aspect))), title)


def _height(rows: int, columns: int, aspect: float) -> float:
    """Return the height of a row of the grid, title included, that fits both ways."""
    return min(HEIGHT / rows, WIDTH / (columns * aspect + PANEL * rows))
