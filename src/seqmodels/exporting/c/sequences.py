"""What of a network is no step, as C: convolutions over a sequence, attention between its steps, a search for tags."""

from collections.abc import Iterator

from torch import Tensor

from seqmodels.exporting.c.nodes import Convolved
from seqmodels.exporting.c.step import Written, literal
from seqmodels.exporting.c.weights import PANEL, Weights, panels

ATTEND = """/* Attention of each step to all steps of parts[steps][3 * size], queries, keys and values in heads. They go
   to the first half of y[steps][2 * size]. The sums of a softmax are rescaled when a larger score comes. */
static void attend(const float *restrict parts, size_t steps, float *restrict y, int size, int heads) {
  const int width = size / heads;
  const float factor = 1.0f / sqrtf((float)width);
  for (size_t t = 0; t < steps; t++)
    for (int h = 0; h < size; h += width) {
      const float *query = parts + t * 3 * (size_t)size + h;
      float *row = y + t * 2 * (size_t)size + h, most = -INFINITY, sum = 0.0f;
      for (int j = 0; j < width; j++) row[j] = 0.0f;
      for (size_t k = 0; k < steps; k++) {
        const float *key = parts + (k * 3 + 1) * (size_t)size + h;
        float score = 0.0f;
        for (int j = 0; j < width; j++) score += query[j] * key[j];
        score *= factor;
        if (score > most || score != score) {
          const float scale = f_exp(most - score);
          for (int j = 0; j < width; j++) row[j] *= scale;
          sum *= scale;
          most = score;
        }
        const float weight = f_exp(score - most);
        for (int j = 0; j < width; j++) row[j] += weight * key[size + j];
        sum += weight;
      }
      for (int j = 0; j < width; j++) row[j] /= sum;
    }
}"""


def convolution(name: str, node: Convolved, weights: Weights) -> Written:
    """Return a convolution over a sequence as C, its numbers added to ``weights``.

    The function reads ``x[steps][input]``, writes the rows of ``y`` and returns how many there are. Taps before the
    start and past the end are left out of a product: there the input is 0.
    """
    kernel, size, channels = node.weight.shape
    matrix = weights.matrix(node.weight.reshape(kernel * size, channels))
    bias = weights.floats(node.bias)
    found = Written(functions={"f_relu"}, multiplications=node.weight.numel())
    found.pointwise = channels * (7 if node.norm else 2)
    q = "const int8_t *restrict Q, " if matrix.scales is not None else ""
    arguments = f"const float *restrict F, {q}const float *restrict x, size_t steps, float *restrict y"
    before = (kernel - 1) // 2
    lines = [
        f"static size_t {name}({arguments}) {{",
        f"  const size_t rows = (steps + {node.stride - 1}) / {node.stride};",
        "  for (size_t t = 0; t < rows; t++) {",
        f"    const size_t at = t * {node.stride}, left = steps + {before} - at;",
        f"    const size_t first = {f'at < {before} ? {before} - at : 0' if before else 0};",
        f"    const size_t last = left < {kernel} ? left : {kernel};",
        f"    const float *const taps = x + (at + first - {before}) * {size};",
        f"    const int depth = (int)(last - first) * {size};",
        f"    float *const row = y + t * {channels};",
    ]
    for panel in panels(channels):
        wide = panel.width == PANEL
        found.products.add(wide)
        start = f"{matrix.start + panel.first * kernel * size} + first * {size * panel.width}"
        factors = f"F + {start}" if matrix.scales is None else f"Q + {start}, F + {matrix.scales + panel.first}"
        call, end = (f"product{PANEL}", "") if wide else ("product", f", {panel.width}")
        lines.append(f"    {call}(row + {panel.first}, {factors}, taps, depth{end});")
    lines.append(f"    for (int j = 0; j < {channels}; j++) row[j] += F[{bias} + j];\n  }}")
    lines += [] if node.norm is None else _normalised(node, weights)
    lines.append(f"  for (size_t i = 0; i < rows * {channels}; i++) y[i] = f_relu(y[i]);")
    lines += _pooled(node.pool, channels) if node.pool > 1 else ["  return rows;"]
    found.text = "\n".join([*lines, "}"])
    return found


def _normalised(node: Convolved, weights: Weights) -> Iterator[str]:
    """Yield the normalisation of each feature over the sequence."""
    assert node.norm is not None
    scale, shift, least = node.norm
    gain, offset, channels = weights.floats(scale), weights.floats(shift), node.output_size
    yield f"  for (int j = 0; j < {channels}; j++) {{"
    yield "    double mean = 0, squares = 0;"
    for sum_, term in (("mean", "(double)y[i]"), ("squares", "((double)y[i] - mean) * ((double)y[i] - mean)")):
        yield f"    for (size_t i = (size_t)j; i < rows * {channels}; i += {channels}) {sum_} += {term};"
        yield f"    {sum_} /= (double)rows;"
    yield f"    const float center = (float)mean, factor = F[{gain} + j] / sqrtf((float)squares + {literal(least)});"
    yield f"    for (size_t i = (size_t)j; i < rows * {channels}; i += {channels})"
    yield f"      y[i] = (y[i] - center) * factor + F[{offset} + j];\n  }}"


def _pooled(pool: int, channels: int) -> Iterator[str]:
    """Yield the maximum of consecutive rows, in place: a row is written after it is read."""
    yield f"  const size_t pooled = (rows + {pool - 1}) / {pool};"
    yield "  for (size_t t = 0; t < pooled; t++)"
    yield f"    for (int j = 0; j < {channels}; j++) {{"
    yield f"      const size_t begin = t * {pool}, end = rows - begin < {pool} ? rows : begin + {pool};"
    yield f"      float most = y[begin * {channels} + (size_t)j];"
    yield "      for (size_t k = begin + 1; k < end; k++) {"
    yield f"        const float v = y[k * {channels} + (size_t)j];"
    yield "        most = v > most || v != v ? v : most;"
    yield f"      }}\n      y[t * {channels} + (size_t)j] = most;\n    }}"
    yield "  return pooled;"


def viterbi(name: str, crf: tuple[Tensor, Tensor, Tensor], weights: Weights) -> Written:
    """Return the search for the best tags of a sequence (Viterbi) as C, its numbers added to ``weights``."""
    transitions, first, last = map(weights.floats, crf)
    tags = len(crf[1])
    text = f"""int {name}_best({name}_state *s, const float *scores, size_t steps, int32_t *tags, int32_t *origins) {{
  const float *F = s->floats;
  float *best = s->work, *next = s->work + {tags};
  if (steps == 0) return 2;
  for (int j = 0; j < {tags}; j++) best[j] = scores[j] + F[{first} + j];
  for (size_t t = 1; t < steps; t++) {{
    for (int j = 0; j < {tags}; j++) {{
      int from = 0;
      float most = -INFINITY;
      for (int k = 0; k < {tags}; k++) {{
        const float v = best[k] + F[{transitions} + k * {tags} + j];
        if (v > most) most = v, from = k;
      }}
      next[j] = most + scores[t * {tags} + (size_t)j];
      origins[t * {tags} + (size_t)j] = from;
    }}
    memcpy(best, next, {tags} * sizeof(float));
  }}
  int32_t tag = 0;
  for (int j = 0; j < {tags}; j++) best[j] += F[{last} + j];
  for (int j = 1; j < {tags}; j++)
    if (best[j] > best[tag]) tag = j;
  for (size_t t = steps; t-- > 0;) {{
    tags[t] = tag;
    tag = t ? origins[t * {tags} + (size_t)tag] : tag;
  }}
  return 0;
}}"""
    return Written(text, work=2 * tags)
