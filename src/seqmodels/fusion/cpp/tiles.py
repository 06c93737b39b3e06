"""How a pass fills its tiles: products with packed weights, and selections of columns."""

from collections.abc import Callable, Sequence

from seqmodels.fusion.values import Product, Selection, Value

UNROLLED = 16
"""Most operand pieces times blocks of a product that are written out; more are looped over: they take minutes to
compile."""

Blocks = dict[int, Value]
"""Columns of one product, by the number of the tile that they go to."""


def filled(
    products: Sequence[Product | Selection],
    blocks: Sequence[Value],
    panels: dict[Value, str],
    address: Callable[[Value], str],
) -> list[str]:
    """Return the statements that fill a pass's tiles: a block of columns, for the rows from ``r0`` on.

    Args:
        products: the program's.
        blocks: columns of products, one for each tile.
        panels: where the packed weights of a block begin.
        address: says where the value of row ``r`` begins.
    """
    lines: list[str] = []
    by_product: dict[int, Blocks] = {}
    for tile, block in enumerate(blocks):
        by_product.setdefault(block.columns.source, {})[tile] = block
    for tile, block in enumerate(blocks):
        index = block.columns.source
        product, same = products[index], by_product[index]
        pieces = list(map(address, product.operand))
        if isinstance(product, Selection):
            lines += _selected(index, pieces, tile, block)
        elif len(pieces) * len(same) <= UNROLLED:
            lines += _multiplied(product, pieces, tile, panels[block])
        elif tile == min(same):
            lines += _looped(product, pieces, same, panels)
    return lines


def moves(index: int, selection: Selection) -> str:
    """Return the table of where the columns of a selection come from."""
    columns = [(i, column) for i, piece in enumerate(selection.operand) for column in range(piece.width)]
    places = [(-1, 0) if source == -1 else columns[source] for source in selection.columns]
    return f"static const Move MOVE{index}[] = {{{', '.join(f'{{{i}, {column}}}' for i, column in places)}}};"


def _selected(index: int, pieces: Sequence[str], tile: int, block: Value) -> list[str]:
    start = block.columns.start
    return [
        "      for (i64 i = 0; i < m; i++) {",
        "        const i64 r = r0 + i, b = x.row[r];",
        f"        const T* const pieces[] = {{{', '.join(pieces)}}};",
        f"        T* const to = x.tiles + {tile} * TILED + i * UNITS * W;",
        f"        move(pieces, MOVE{index} + {start} + first * W, {block.width} - first * W, nv * W, to);",
        "        (void)r, (void)b;",
        "      }",
    ]


def _multiplied(product: Product, pieces: Sequence[str], tile: int, begin: str) -> list[str]:
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
            f"        TILE[m - 1][nv - 1](rows, {piece.width}, {panel}, x.tiles + {tile} * TILED, {more});",
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
