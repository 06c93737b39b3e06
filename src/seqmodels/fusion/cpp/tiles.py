"""How a pass fills its tiles: products with packed weights, and columns that are only moved."""

from collections.abc import Callable, Sequence

from seqmodels.fusion.values import Product, Value

TOGETHER = 16
"""Operand pieces times blocks of a product from which on these are looped over: written out, they take minutes."""

Blocks = dict[int, Value]
"""Columns of one product, by the tile that they go to."""


def filled(
    products: Sequence[Product], blocks: Sequence[Value], panels: dict[Value, str], address: Callable[[Value], str]
) -> list[str]:
    """Return the statements that fill a pass's tiles: a block of columns, for the rows from ``r0`` on.

    Args:
        products: the program's.
        blocks: columns of products, one for each tile.
        panels: where the packed weights of a block begin.
        address: says where the value of row ``r`` begins.
    """
    lines: list[str] = []
    found: dict[int, Blocks] = {}
    for place, block in enumerate(blocks):
        found.setdefault(block.data[0], {})[place] = block
    for place, block in enumerate(blocks):
        index = block.data[0]
        product, mine = products[index], found[index]
        pieces = list(map(address, product.operand))
        if product.select:
            lines += _moved(index, pieces, place, block)
        elif len(pieces) * len(mine) <= TOGETHER:
            lines += _multiplied(product, pieces, place, panels[block])
        elif place == min(mine):
            lines += _looped(product, pieces, mine, panels)
    return lines


def moves(index: int, product: Product) -> str:
    """Return the table of where the columns of a product without a weight come from."""
    columns = [(i, column) for i, piece in enumerate(product.operand) for column in range(piece.width)]
    places = [(-1, 0) if source == -1 else columns[source] for source in product.select]
    return f"static const Move MOVE{index}[] = {{{', '.join(f'{{{i}, {column}}}' for i, column in places)}}};"


def _moved(index: int, pieces: Sequence[str], place: int, block: Value) -> list[str]:
    return [
        "      for (i64 i = 0; i < m; i++) {",
        "        const i64 r = r0 + i, b = x.row[r];",
        f"        const T* const pieces[] = {{{', '.join(pieces)}}};",
        f"        T* const to = x.tiles + {place} * TILED + i * UNITS * W;",
        f"        move(pieces, MOVE{index} + {block.data[1]} + first * W, {block.width} - first * W, nv * W, to);",
        "        (void)r, (void)b;",
        "      }",
    ]


def _multiplied(product: Product, pieces: Sequence[str], place: int, begin: str) -> list[str]:
    lines, start = ["      {", "        const T* rows[ROWS];"], 0
    for piece, at in zip(product.operand, pieces, strict=True):
        panel = f"x.packed + {begin} + first * {product.depth} * W + {start} * nv * W"
        more = "true" if start else "false"
        lines += [
            "        for (i64 i = 0; i < m; i++) {",
            "          const i64 r = r0 + i, b = x.row[r];",
            f"          rows[i] = {at};",
            "          (void)r, (void)b;",
            "        }",
            f"        TILE[m - 1][nv - 1](rows, {piece.width}, {panel}, x.tiles + {place} * TILED, {more});",
        ]
        start += piece.width
    return [*lines, "      }"]


def _looped(product: Product, pieces: Sequence[str], blocks: Blocks, panels: dict[Value, str]) -> list[str]:
    widths = ", ".join(str(piece.width) for piece in product.operand)
    count = len(pieces)
    return [
        "      {",
        f"        static const i64 widths[] = {{{widths}}};",
        f"        static const i64 panels[] = {{{', '.join(panels[block] for block in blocks.values())}}};",
        f"        static const int places[] = {{{', '.join(map(str, blocks))}}};",
        f"        const T* rows[{count}][ROWS];",
        "        for (i64 i = 0; i < m; i++) {",
        "          const i64 r = r0 + i, b = x.row[r];",
        f"          const T* const pieces[] = {{{', '.join(pieces)}}};",
        f"          for (int p = 0; p < {count}; p++) rows[p][i] = pieces[p];",
        "          (void)r, (void)b;",
        "        }",
        f"        for (int k = 0; k < {len(blocks)}; k++) {{",
        f"          const T* panel = x.packed + panels[k] + first * {product.depth} * W;",
        f"          for (int p = 0; p < {count}; panel += widths[p++] * nv * W)",
        "            TILE[m - 1][nv - 1](rows[p], widths[p], panel, x.tiles + places[k] * TILED, p > 0);",
        "        }",
        "      }",
    ]
