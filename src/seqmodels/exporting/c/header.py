"""The header of a network in C: sizes, the state, the functions."""

from collections.abc import Iterator
from typing import NamedTuple

from seqmodels.exporting.c.network import Network


class Sizes(NamedTuple):
    """How many floats a state holds, and ``scratch``, for each step of a sequence, lie beside it."""

    carry: int
    pool: int
    rows: int
    work: int
    scratch: int
    beside: int = 0

    @property
    def state(self) -> int:
        """Bytes of a state, with three pointers or sizes."""
        return 4 * (self.carry + self.pool + self.rows + self.work + self.beside) + 24


def header(name: str, network: Network, sizes: Sizes, *, about: str, inside: bool, int8: bool) -> Iterator[str]:
    """Yield the lines of the header."""
    big, kind = name.upper(), "int32_t" if network.table is not None else "float"
    every = not network.pools
    yield f"/* {about}"
    yield ""
    yield "   All functions return 0, or 1 for a token outside the vocabulary, 2 for a sequence that is too short and 3"
    yield "   for weights of another model. Nothing is allocated; one state serves one sequence at a time. */"
    yield f"#ifndef {big}_H\n#define {big}_H\n#include <stddef.h>\n#include <stdint.h>"
    yield '#ifdef __cplusplus\nextern "C" {\n#endif\n'
    what = "a token" if network.table is not None else "numbers of a step"
    yield f"#define {big}_INPUT {network.inputs} /* {what} */"
    yield f"#define {big}_OUTPUT {network.outputs} /* numbers of {'each output' if every else 'a sequence'} */"
    yield f"#define {big}_CARRY {sizes.carry} /* floats that steps hand on */"
    yield f"#define {big}_SCRATCH(steps) ((size_t)(steps) * {sizes.scratch}) /* floats for {name}_run */"
    if every:
        count, divisor = "((size_t)(steps)", network.shortens
        count += f" + {divisor - 1}) / {divisor}" if divisor > 1 else ")"
        yield f"#define {big}_ROWS(steps) ({count}) /* outputs of a sequence */"
    if network.table is not None:
        yield f"#define {big}_TOKENS {len(network.table)} /* tokens are 0 to this, exclusive */"
    yield ""
    yield from _state(name, network, sizes, int8=int8)
    if inside:
        yield f"/* Prepare a state, at the beginning of a sequence. */\nint {name}_init({name}_state *s);"
    else:
        yield f"/* Prepare a state with the content of {name}.bin, which must lie at a multiple of 4 and stay there. */"
        yield f"int {name}_init({name}_state *s, const void *weights, size_t size);"
    yield f"/* Go back to the beginning of a sequence. */\nvoid {name}_reset({name}_state *s);"
    part = network.forecasting
    if part is not None and part.beside:
        yield f"/* Set known[{part.horizon}][{part.known}] of the future, fixed[{part.static}] and number of the group"
        yield "   before the first step; what has no numbers may be NULL, and the only group is 0. */"
        yield f"int {name}_context({name}_state *s, const float *known, const float *fixed, int32_t group);"
    if network.streams:
        after = "the output after it" if every else "the output of the sequence so far"
        yield f"/* Read one step x[{network.inputs}]; y[{network.outputs}] is {after}. */"
        yield f"int {name}_step({name}_state *s, const {kind} *x, float *y);"
        yield f"/* Read steps x[steps][{network.inputs}] from where the state is; "
    else:
        yield f"/* Read a whole sequence x[steps][{network.inputs}]; "
    rows = f"{big}_ROWS(steps)" if network.shortens > 1 else "steps"
    shape = f"y[{rows}][{network.outputs}]" if every else f"y[{network.outputs}]"
    memory = f"scratch[{big}_SCRATCH(steps)]" if sizes.scratch else "scratch may be NULL"
    yield f"   {shape} is the output, {memory}. */"
    yield f"int {name}_run({name}_state *s, const {kind} *x, size_t steps, float *y, float *scratch);"
    if network.crf is not None:
        yield f"/* Choose the best tags[steps] by the scores of {name}_run; origins[{big}_OUTPUT * steps] is memory. */"
        yield f"int {name}_best({name}_state *s, const float *scores, size_t steps, int32_t *tags, int32_t *origins);"
    yield "\n#ifdef __cplusplus\n}\n#endif\n#endif"


def _state(name: str, network: Network, sizes: Sizes, *, int8: bool) -> Iterator[str]:
    yield "/* The state of one sequence; copy it to save it. Its size is sizeof. */"
    yield "typedef struct {"
    yield "  const float *floats;"
    if int8:
        yield "  const int8_t *bytes;"
    if network.pools:
        yield "  size_t count;"
        yield f"  float pool[{max(1, sizes.pool)}];"
    if network.forecasting is not None and network.forecasting.beside:
        yield f"  float beside[{network.forecasting.beside}];"
    yield f"  float carry[{max(1, sizes.carry)}];"
    yield f"  float rows[{max(1, sizes.rows)}];"
    yield f"  float work[{max(1, sizes.work)}];"
    yield f"}} {name}_state;\n"
