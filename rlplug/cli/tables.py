"""Columns of text: drawn by rich on a terminal, plain where the output is piped."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print rows below their header; the last column takes the room that is left."""
    if sys.stdout.isatty():
        _draw(header, rows, title)
        return
    if title:
        print(title)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def _draw(header: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", title_style="bold", box=None)
    for column in header:
        table.add_column(column, style="cyan" if column == header[0] else None, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
