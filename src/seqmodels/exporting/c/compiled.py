"""Exported C, compiled with a program that runs it on sequences, to compare it with the model."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqmodels.errors import Refused
from seqmodels.exporting.c.source import Source

FLAGS = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Werror")
TIMEOUT = 300
"""Seconds that a compiler may take: a large model with its weights inside takes half a minute."""

_DRIVER = """
static int drive_NAME(FILE *in, const char *weights) {
  uint32_t steps;
  if (fread(&steps, 4, 1, in) != 1) return 1;
  const size_t rows = steps ? steps : 1, outputs = (ROWS) * (size_t)BIG_OUTPUT;
  NAME_state *s = malloc(sizeof *s);
  TYPE *x = malloc(rows * BIG_INPUT * sizeof *x);
  float *y = calloc(outputs, sizeof *y), *scratch = malloc(BIG_SCRATCH(rows) * sizeof *scratch);
  if (fread(x, sizeof *x * BIG_INPUT, steps, in) != steps) return 1;
  INIT
  CONTEXTconst int32_t ready = code == 0;
  code = ready ? NAME_run(s, x, steps, y, scratch) : code;
  fwrite(&code, sizeof code, 1, stdout);
  fwrite(y, sizeof *y, outputs, stdout);
  TAGSSTEPS
  free(s), free(x), free(y), free(scratch);FREE
  return 0;
}
"""
_FROM_FILE = """void *content = malloc(SIZE);
  FILE *file = fopen(weights, "rb");
  if (file == NULL || fread(content, 1, SIZE, file) != SIZE) return 1;
  fclose(file);
  int32_t code = NAME_init(s, content, SIZE);"""
_TAGS = """int32_t *tags = calloc(rows, sizeof *tags), *origins = calloc(outputs, sizeof *origins);
  if (code == 0) code = NAME_best(s, y, steps, tags, origins);
  fwrite(tags, sizeof *tags, rows, stdout);
  free(tags), free(origins);
  """
_CONTEXT = """float *known = malloc(sizeof *known * (KNOWN + 1)), *fixed = malloc(sizeof *fixed * (FIXED + 1));
  int32_t group;
  if (fread(known, sizeof *known, KNOWN, in) != KNOWN || fread(fixed, sizeof *fixed, FIXED, in) != FIXED) return 1;
  if (fread(&group, sizeof group, 1, in) != 1) return 1;
  code = code == 0 ? NAME_context(s, known, fixed, group) : code;
  free(known), free(fixed);
  """
_EACH_STEP = """if (ready) NAME_reset(s);
  for (size_t t = 0; t < steps; t++) {
    if (ready) NAME_step(s, x + t * BIG_INPUT, y);
    fwrite(y, sizeof *y, BIG_OUTPUT, stdout);
  }"""


class Context(NamedTuple):
    """What a forecaster reads beside a window."""

    known: np.ndarray  # (horizon, known) float32
    fixed: np.ndarray  # (static,) float32
    group: np.ndarray  # () int32


class Answer(NamedTuple):
    """What the compiled C computed for a sequence.

    Attributes:
        code: what ``run`` returned.
        run: its output, ``(output,)`` or ``(time, output)``.
        tags: those that ``best`` chooses, ``(time,)``; None where there is no such function.
        steps: the outputs of ``step``, ``(time, output)``; None where there is no such function.
    """

    code: int
    run: np.ndarray
    tags: np.ndarray | None
    steps: np.ndarray | None


class Compiled:
    """Exported models in one program.

    Args:
        folder: an empty one, for the files.
        sources: the models, by name.
        command: the compiler, with its flags.

    Raises:
        Refused: the compiler fails; the message is its own.
    """

    def __init__(self, folder: Path, sources: Mapping[str, Source], command: Sequence[str]) -> None:
        self.sources, self.names = dict(sources), list(sources)
        self.program = folder / "program"
        self.weights = [str(folder / f"{name}.bin") for name in sources]
        for name, one in sources.items():
            (folder / f"{name}.c").write_text(one.code, encoding="utf-8")
            (folder / f"{name}.h").write_text(one.header, encoding="utf-8")
            if one.weights is not None:
                (folder / f"{name}.bin").write_bytes(one.weights)
        (folder / "main.c").write_text(_main(self.sources), encoding="utf-8")
        files = [str(folder / f"{name}.c") for name in (*sources, "main")]
        done = _run([*command, "-o", str(self.program), *files, "-lm"])
        if done.returncode:
            raise Refused(f"{command[0]} cannot compile the exported C:\n{done.stderr.decode(errors='replace')}")

    def __call__(self, name: str, inputs: Sequence[np.ndarray], contexts: Sequence[Context] = ()) -> list[Answer]:
        """Run a model on sequences, ``(time, input)`` float32 or tokens ``(time,)`` int32.

        A forecaster that reads more has a context for each sequence.

        Raises:
            Refused: the program crashes; the message is what it printed.
        """
        shape, chunks = self.sources[name].shape, []
        for number, x in enumerate(inputs):
            kind = "<i4" if shape.tokens else "<f4"
            chunks += [np.array([self.names.index(name), len(x)], "<u4").tobytes(), np.asarray(x, kind).tobytes()]
            chunks += [] if shape.context is None else [part.tobytes() for part in contexts[number]]
        done = _run([str(self.program), *self.weights], b"".join(chunks))
        if done.returncode:
            raise Refused(f"the exported C of {name} crashes: {done.stderr.decode(errors='replace')[-2000:]}")
        answers, place = [], 0
        for x in inputs:
            rows = shape.rows(len(x))
            code = int(np.frombuffer(done.stdout, "<i4", 1, place)[0])
            run = np.frombuffer(done.stdout, "<f4", rows * shape.outputs, place + 4).reshape(rows, shape.outputs)
            place += 4 + run.nbytes
            tags = np.frombuffer(done.stdout, "<i4", rows, place) if shape.tags else None
            place += 0 if tags is None else tags.nbytes
            steps = None
            if shape.streams:
                steps = np.frombuffer(done.stdout, "<f4", len(x) * shape.outputs, place).reshape(-1, shape.outputs)
                place += steps.nbytes
            answers.append(Answer(code, run if shape.every else run[0], tags, steps))
        return answers


def compiler() -> list[str] | None:
    """Return the C compiler that ``CC`` names, else the first of cc, gcc and clang; None if there is none."""
    for words in filter(None, map(shlex.split, (os.environ.get("CC", ""), "cc", "gcc", "clang"))):
        if shutil.which(words[0]):
            return words
    return None


def _run(command: Sequence[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603  (the user's compiler, and what it built)
            command, input=given, capture_output=True, check=False, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"{command[0]} took longer than {TIMEOUT} seconds") from None


def _context(sizes: tuple[int, int, int]) -> str:
    return _CONTEXT.replace("KNOWN", str(sizes[0])).replace("FIXED", str(sizes[1]))


def _main(sources: Mapping[str, Source]) -> str:
    """Return a program that reads requests: the number of a model, steps, inputs; and writes what it computes."""
    lines = ["#include <stdio.h>", "#include <stdlib.h>", *(f'#include "{name}.h"' for name in sources)]
    for name, one in sources.items():
        init = "(void)weights;\n  int32_t code = NAME_init(s);"
        if one.weights is not None:
            init = _FROM_FILE.replace("SIZE", str(len(one.weights)))
        text = (
            _DRIVER.replace("FREE", "" if one.weights is None else "\n  free(content);")
            .replace("INIT\n", f"{init}\n")
            .replace("CONTEXT", "" if one.shape.context is None else _context(one.shape.context))
            .replace("TAGS", _TAGS if one.shape.tags else "")
            .replace("STEPS", _EACH_STEP if one.shape.streams else "")
        )
        text = text.replace("ROWS", "BIG_ROWS(rows)" if one.shape.every else "1").replace("BIG", name.upper())
        lines.append(text.replace("NAME", name).replace("TYPE", "int32_t" if one.shape.tokens else "float"))
    lines += ["int main(int count, char **files) {", "  uint32_t model;", "  (void)count, (void)files;"]
    lines.append("  while (fread(&model, 4, 1, stdin) == 1) {")
    for number, name in enumerate(sources):
        lines.append(f"    if (model == {number} && drive_{name}(stdin, files[{number + 1}]) != 0) return 1;")
    return "\n".join([*lines, "  }", "  return 0;", "}"]) + "\n"
