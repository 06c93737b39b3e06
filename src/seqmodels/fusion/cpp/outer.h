// The gradient of weights: operands' columns times a cotangent's columns, summed over all rows of all steps.
//
// Rows come in groups: the next row of a group is `near`, the next group is `far`. Blocks of ROWS columns of an operand
// times UNITS vectors of the cotangent are summed in registers over DEPTH rows at a time. The cotangent's columns are
// copied side by side, since many blocks read them; operands are read where they lie if one distance leads from each row
// to the next.

struct Columns {
  const T* at;
  i64 far, near, width;
  i64 group;  // rows in a group
  bool even() const { return far == group * near; }
  const T* row(i64 r) const { return at + (even() ? r * near : r / group * far + r % group * near); }
};

struct Work {
  i64 rows, group, threads;
  const T* b;
  i64 b_far, b_near, width;
  T *c, *scratch;
  i64 operands;  // followed by their Columns
};

enum { DEPTH = 256, PANEL = UNITS * W };

// c[M][NV * W] += sum over k of a[k * a_step][M] times b[k * b_step][NV * W]; the last vector has `lanes`.
template <int M, int NV>
static void block(const T* a, i64 a_step, const T* b, i64 b_step, i64 depth, T* c, i64 c_step, int lanes) {
  vec sums[M][NV];
  for (int m = 0; m < M; m++)
    for (int v = 0; v < NV; v++) sums[m][v] = vec{};
  for (i64 k = 0; k < depth; k++, a += a_step, b += b_step) {
    vec panel[NV];
    for (int v = 0; v < NV; v++) panel[v] = load(b + v * W);
    for (int m = 0; m < M; m++) {
      vec x = splat(a[m]);
      for (int v = 0; v < NV; v++) sums[m][v] += x * panel[v];
    }
  }
  for (int m = 0; m < M; m++, c += c_step) {
    for (int v = 0; v < NV - 1; v++) store(c + v * W, load(c + v * W) + sums[m][v]);
    T* last = c + (NV - 1) * W;
    if (lanes == W) store(last, load(last) + sums[m][NV - 1]);
    else store_part(last, load_part(last, lanes) + sums[m][NV - 1], lanes);
  }
}
typedef void (*Block)(const T*, i64, const T*, i64, i64, T*, i64, int);
#define BLOCKS(M) {block<M, 1>, block<M, 2>, block<M, UNITS >= 3 ? 3 : 1>, block<M, UNITS >= 4 ? 4 : 1>}
static const Block BLOCK[ROWS][4] = {BLOCKS(1), BLOCKS(2), BLOCKS(3), BLOCKS(4), BLOCKS(5), BLOCKS(6)};

static i64 blocks_of(i64 width) { return (width + ROWS - 1) / ROWS; }

// Copies the columns of a block side by side, and what follows them where that is a row's own.
static void gather(const Columns& a, i64 r0, i64 depth, i64 start, T* to) {
  if (start + ROWS <= a.width)
    for (i64 k = 0; k < depth; k++) __builtin_memcpy(to + k * ROWS, a.row(r0 + k) + start, ROWS * sizeof(T));
  else
    for (i64 k = 0; k < depth; k++)
      for (i64 m = 0; m < a.width - start; m++) to[k * ROWS + m] = a.row(r0 + k)[start + m];
}

// Blocks first … last of all operands, panels from … to of the cotangent: what one thread computes.
static void sum(const Work& w, const Columns* operands, i64 first, i64 last, i64 from, i64 to, T* scratch) {
  const Columns b = {w.b, w.b_far, w.b_near, w.width, w.group};
  T *panel = scratch, *packed = scratch + DEPTH * PANEL;
  for (i64 r0 = 0; r0 < w.rows; r0 += DEPTH) {
    const i64 depth = w.rows - r0 < DEPTH ? w.rows - r0 : DEPTH;
    for (i64 p = from; p < to; p++) {
      const i64 width = w.width - p * PANEL < PANEL ? w.width - p * PANEL : PANEL;
      const int nv = (width + W - 1) / W, lanes = width - (nv - 1) * W;
      const bool copied = last - first > 2 || lanes != W || !b.even();
      if (copied)
        for (i64 k = 0; k < depth; k++) {
          const T* row = b.row(r0 + k) + p * PANEL;
          T* to = panel + k * nv * W;
          for (int v = 0; v < nv - 1; v++) store(to + v * W, load(row + v * W));
          store(to + (nv - 1) * W, lanes == W ? load(row + (nv - 1) * W) : load_part(row + (nv - 1) * W, lanes));
        }
      const T* from_b = copied ? panel : b.row(r0) + p * PANEL;
      T* c = w.c + p * PANEL;
      i64 number = 0;
      for (i64 o = 0; o < w.operands; o++) {
        const Columns& a = operands[o];
        const i64 count = blocks_of(a.width);
        for (i64 i = 0; i < count; i++, number++) {
          const i64 start = i * a.width / count, m = (i + 1) * a.width / count - start;
          if (number >= first && number < last) {
            T* mine = packed + (number - first) * DEPTH * ROWS;
            if (!a.even() && p == from) gather(a, r0, depth, start, mine);
            const T* rows = a.even() ? a.row(r0) + start : mine;
            const i64 a_step = a.even() ? a.near : ROWS, b_step = copied ? nv * W : b.near;
            BLOCK[m - 1][nv - 1](rows, a_step, from_b, b_step, depth, c + start * w.width, w.width, lanes);
          }
        }
        c += a.width * w.width;
      }
    }
  }
}

// Enough for operands of so many columns, each with a block that it fills in part.
extern "C" i64 scratch(i64 columns, i64 threads) { return threads * DEPTH * (PANEL + columns); }

extern "C" void run(const i64* arguments) {
  const Work& w = *(const Work*)arguments;
  const Columns* operands = (const Columns*)(arguments + sizeof(Work) / sizeof(i64));
  const i64 panels = (w.width + PANEL - 1) / PANEL;
  i64 blocks = 0;
  for (i64 o = 0; o < w.operands; o++) blocks += blocks_of(operands[o].width);
  // each thread copies the panels that it multiplies: better its own ones
  const i64 across = panels % w.threads == 0 || panels >= 4 * w.threads ? w.threads : 1;
  const i64 down = w.threads / across < blocks ? w.threads / across : blocks;
  const auto share = [&](i64 k) {
    Flush flush;
    const i64 i = k / across, j = k % across;
    T* mine = w.scratch + k * scratch(blocks * ROWS, 1);
    sum(w, operands, blocks * i / down, blocks * (i + 1) / down, panels * j / across, panels * (j + 1) / across, mine);
  };
#if defined(_OPENMP)
  if (across * down > 1) {
#pragma omp parallel num_threads(across * down)
    for (i64 k = omp_get_thread_num(); k < across * down; k += omp_get_num_threads()) share(k);
    return;
  }
#endif
  for (i64 k = 0; k < across * down; k++) share(k);
}
