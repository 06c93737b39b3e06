// What every generated kernel is built on: vectors, and a register-blocked product.
//
// SEQ_REAL is float or double. A vector is one register of the processor the kernel is compiled for. Build with
// -fno-math-errno -fno-trapping-math -ffp-contract=fast, never with -ffast-math: it folds (t + magic) - magic in
// elementary.h to t, and exp is then wrong.

// No header of the standard library is included but those of OpenMP and AVX-512: reading <cmath> alone would take a third
// of the time that a kernel is compiled in.

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")

typedef SEQ_REAL T;
typedef __INT64_TYPE__ i64;
template <int> struct Integer { typedef __INT64_TYPE__ type; };
template <> struct Integer<4> { typedef __INT32_TYPE__ type; };
typedef Integer<sizeof(T)>::type Int;  // as wide as T

#if defined(__AVX512F__)
#define BYTES 64
enum { UNITS = 4 };  // vectors side by side in a tile: 6 rows x 4 vectors of sums fit the 32 registers
#elif defined(__AVX__)
#define BYTES 32
enum { UNITS = 2 };  // 16 registers
#else
#define BYTES 16
enum { UNITS = 4 };
#endif
enum { W = BYTES / sizeof(T), ROWS = 6 };
typedef T vec __attribute__((vector_size(BYTES)));
typedef decltype(vec{} < vec{}) mask;  // as many signed integers, all bits set where true

static inline constexpr i64 padded(i64 n) { return (n + W - 1) / W * W; }
static inline vec splat(T x) { return x - vec{}; }  // x + 0 would be an addition, since it makes 0 of -0
static inline vec load(const T* p) {
  vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
static inline void store(T* p, vec v) { __builtin_memcpy(p, &v, sizeof v); }
// The last vector of a row whose width is no multiple of W: n lanes are the row's.
#if defined(__AVX512F__)
static inline vec load_part(const T* p, int n) {
  if constexpr (sizeof(T) == 4) return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
  else return (vec)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
static inline void store_part(T* p, vec v, int n) {
  if constexpr (sizeof(T) == 4) _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
  else _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
#else
static inline vec load_part(const T* p, int n) {
  vec v = {};
  for (int l = 0; l < n; l++) v[l] = p[l];
  return v;
}
static inline void store_part(T* p, vec v, int n) {
  for (int l = 0; l < n; l++) p[l] = v[l];
}
#endif
static inline T sum(vec v) {
  T s = 0;
  for (int l = 0; l < W; l++) s += v[l];
  return s;
}
static inline T largest(vec v) {
  T s = v[0];
  for (int l = 1; l < W; l++) s = v[l] > s || v[l] != v[l] ? v[l] : s;  // what is no number stays
  return s;
}
static inline T smallest(vec v) {
  T s = v[0];
  for (int l = 1; l < W; l++) s = v[l] < s || v[l] != v[l] ? v[l] : s;
  return s;
}
static inline vec choose(mask m, vec a, vec b) { return m ? a : b; }

// Where a column comes from that is only moved: a column of one of an operand's pieces, or from none, and it is 0.
struct Move {
  int piece, column;
};
static inline void move(const T* const* pieces, const Move* from, i64 columns, i64 lanes, T* to) {
  for (i64 l = 0; l < lanes; l++) {
    const bool some = l < columns && from[l].piece >= 0;
    to[l] = some ? pieces[from[l].piece][from[l].column] : 0;
  }
}

// c[m, 0 .. NV * W) (+)= a[m][0 .. K) times a packed panel (K, NV * W): M rows, sums kept in registers.
template <int M, int NV>
static void tile(const T* const* a, i64 K, const T* b, T* c, bool more) {
  vec sums[M][NV];
  for (int m = 0; m < M; m++)
    for (int v = 0; v < NV; v++) sums[m][v] = more ? load(c + (m * UNITS + v) * W) : vec{};
  const T* rows[M];
  for (int m = 0; m < M; m++) rows[m] = a[m];
  for (i64 k = 0; k < K; k++, b += NV * W) {
    vec panel[NV];
    for (int v = 0; v < NV; v++) panel[v] = load(b + v * W);
    for (int m = 0; m < M; m++) {
      vec x = splat(rows[m][k]);
      for (int v = 0; v < NV; v++) sums[m][v] += x * panel[v];
    }
  }
  for (int m = 0; m < M; m++)
    for (int v = 0; v < NV; v++) store(c + (m * UNITS + v) * W, sums[m][v]);
}
typedef void (*Tile)(const T* const*, i64, const T*, T*, bool);
#define TILES(M) {tile<M, 1>, tile<M, 2>, tile<M, UNITS >= 3 ? 3 : 1>, tile<M, UNITS >= 4 ? 4 : 1>}
static const Tile TILE[ROWS][4] = {TILES(1), TILES(2), TILES(3), TILES(4), TILES(5), TILES(6)};

// Columns first … first + width of a weight (K, N), with strides, as panels of UNITS vectors: (panel, k, lane).
static void pack(T* to, const T* weight, i64 row, i64 column, i64 K, i64 first, i64 width) {
  for (i64 start = 0; start < width; start += UNITS * W) {
    i64 lanes = padded(width - start < UNITS * W ? width - start : UNITS * W);
    i64 real = width - start < lanes ? width - start : lanes;
    const T* from = weight + (first + start) * column;
    if (row == 1) {  // a transposed weight: read along k, which is contiguous
      for (i64 l = 0; l < real; l++)
        for (i64 k = 0; k < K; k++) to[k * lanes + l] = from[l * column + k];
    } else {
      for (i64 k = 0; k < K; k++)
        for (i64 l = 0; l < real; l++) to[k * lanes + l] = from[k * row + l * column];
    }
    for (i64 k = 0; k < K; k++)
      for (i64 l = real; l < lanes; l++) to[k * lanes + l] = 0;
    to += K * lanes;
  }
}

static inline void copy(T* to, const T* from, i64 n) { __builtin_memcpy(to, from, n * sizeof(T)); }

// Backwards, at a step before which a row was reset: its gradient goes to the initial state and not to the step before.
static inline void hand_over(T* sum, T* carry, i64 n) {
  for (i64 i = 0; i < n; i++) sum[i] += carry[i], carry[i] = 0;
}

// The kernel flushes denormal numbers to zero while it runs: states that decay would slow it down a hundredfold.
struct Flush {
#if defined(__SSE__)
  unsigned before = __builtin_ia32_stmxcsr();
  Flush() { __builtin_ia32_ldmxcsr(before | 0x8040); }
  ~Flush() { __builtin_ia32_ldmxcsr(before); }
#endif
};
