// What every generated kernel is built on: vectors, their elementary functions, and a register-blocked product.
//
// SEQ_REAL is float or double. A vector is one register of the processor the kernel is compiled for. Build with
// -fno-math-errno -fno-trapping-math -ffp-contract=fast, never with -ffast-math: it folds (t + magic) - magic in vexp
// below to t, and exp is then wrong.

#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__SSE__)
#include <xmmintrin.h>
#endif

typedef SEQ_REAL T;
typedef int64_t i64;

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
static inline vec splat(T x) { return vec{} + x; }
static inline vec load(const T* p) {
  vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
static inline void store(T* p, vec v) { std::memcpy(p, &v, sizeof v); }
// The last vector of a row whose width is no multiple of W: n lanes are the row's.
static inline vec load_part(const T* p, int n) {
  vec v = {};
  for (int l = 0; l < n; l++) v[l] = p[l];
  return v;
}
static inline void store_part(T* p, vec v, int n) {
  for (int l = 0; l < n; l++) p[l] = v[l];
}
static inline T sum(vec v) {
  T s = 0;
  for (int l = 0; l < W; l++) s += v[l];
  return s;
}
static inline T largest(vec v) {
  T s = v[0];
  for (int l = 1; l < W; l++) s = v[l] > s ? v[l] : s;
  return s;
}
static inline vec choose(mask m, vec a, vec b) { return m ? a : b; }

// max and min whose second argument is what they return when it is not a number.
#if defined(__AVX512F__)
static inline vec larger(vec a, vec b) {
  if constexpr (sizeof(T) == 4) return (vec)_mm512_max_ps((__m512)a, (__m512)b);
  else return (vec)_mm512_max_pd((__m512d)a, (__m512d)b);
}
static inline vec smaller(vec a, vec b) {
  if constexpr (sizeof(T) == 4) return (vec)_mm512_min_ps((__m512)a, (__m512)b);
  else return (vec)_mm512_min_pd((__m512d)a, (__m512d)b);
}
#else
static inline vec larger(vec a, vec b) { return choose(a > b, a, b); }
static inline vec smaller(vec a, vec b) { return choose(a < b, a, b); }
#endif
static inline vec clamp(vec x, T low, T high) { return smaller(splat(high), larger(splat(low), x)); }

// k rounded to an integer, and 2^k.
struct Power {
  vec k, scale;
};
static inline Power power(vec k) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    __m512 n = _mm512_roundscale_ps((__m512)k, 0);
    return {(vec)n, (vec)_mm512_scalef_ps(_mm512_set1_ps(1), n)};
  } else {
    __m512d n = _mm512_roundscale_pd((__m512d)k, 0);
    return {(vec)n, (vec)_mm512_scalef_pd(_mm512_set1_pd(1), n)};
  }
#else
  // 1.5 * 2^mantissa: adding it rounds to an integer and leaves that in the low bits
  const T magic = sizeof(T) == 4 ? (T)12582912.0 : (T)6755399441055744.0;
  vec t = k + magic;
  mask one = (mask)splat((T)1);
  return {t - magic, (vec)(((mask)t << (sizeof(T) == 4 ? 23 : 52)) + one)};  // the shift drops all of the magic but k
#endif
}

// x = k ln 2 + r with an integer k and |r| <= ln(2) / 2; expm1(r) by its Taylor polynomial, exact to the last bits.
struct Reduced {
  vec p, scale;  // expm1(r), 2^k
};
static inline Reduced reduce(vec x) {
  Power two = power(x * (T)1.44269504088896340736);
  vec r, q;
  if (sizeof(T) == 4) {
    r = x - two.k * (T)0.693145751953125;  // ln 2 in two parts: k times the first is exact
    r = r - two.k * (T)1.42860682030941723212e-6;
    q = splat((T)(1.0 / 5040));
    const double inverse_factorials[] = {1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5};
    for (double c : inverse_factorials) q = q * r + (T)c;
  } else {
    r = x - two.k * (T)0.693147180369123816490;
    r = r - two.k * (T)1.90821492927058770002e-10;
    q = splat((T)(1.0 / 6227020800.0));
    const double inverse_factorials[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                                         1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5};
    for (double c : inverse_factorials) q = q * r + (T)c;
  }
  return {q * r * r + r, two.scale};
}
static const T LOW = sizeof(T) == 4 ? (T)-87.3 : (T)-708.3, HIGH = sizeof(T) == 4 ? (T)88.3 : (T)709.4;

static const T TOP = sizeof(T) == 4 ? (T)88 : (T)709, OVERFLOWS = sizeof(T) == 4 ? (T)88.7228391 : (T)709.782712893384;

// 2^k itself overflows a little before exp does: above TOP the exponential of x - 1 is multiplied by e.
static inline vec f_exp(vec x) {
  mask top = x > splat(TOP);
  Reduced e = reduce(clamp(x - choose(top, splat(1), splat(0)), LOW, HIGH));
  vec y = (e.p * e.scale + e.scale) * choose(top, splat((T)2.71828182845904523536), splat(1));
  y = choose(x > splat(OVERFLOWS), splat((T)INFINITY), y);
  return choose(x < splat(LOW), splat((T)0), y);  // what is denormal is 0
}
static inline vec f_sigmoid(vec x) {
  Reduced e = reduce(clamp(-x, LOW, HIGH));
  return (T)1 / ((T)1 + (e.p * e.scale + e.scale));
}
static inline vec f_expm1(vec x) {
  Reduced e = reduce(clamp(x, LOW, HIGH));
  return choose(x > splat(TOP), f_exp(x), e.scale * e.p + (e.scale - (T)1));
}
// tanh(x) = expm1(2x) / (expm1(2x) + 2): exact near zero too, where 1 - 2 / (exp(2x) + 1) cancels.
static inline vec f_tanh(vec x) {
  const T top = sizeof(T) == 4 ? (T)20 : (T)40;
  Reduced e = reduce(clamp(x + x, -top, top));
  vec m = e.scale * e.p + (e.scale - (T)1);
  return m / (m + (T)2);
}
#define LANES(name, call)                          \
  static inline vec name(vec x) {                  \
    vec y;                                         \
    for (int l = 0; l < W; l++) {                  \
      T v = x[l];                                  \
      y[l] = call;                                 \
    }                                              \
    return y;                                      \
  }
LANES(f_log, std::log(v))
LANES(f_log1p, std::log1p(v))
LANES(f_sqrt, std::sqrt(v))
LANES(f_sin, std::sin(v))
LANES(f_cos, std::cos(v))
LANES(f_erf, std::erf(v))
static inline vec f_rsqrt(vec x) { return (T)1 / f_sqrt(x); }
static inline vec f_abs(vec x) { return choose(x < splat(0), -x, x); }
static inline vec f_relu(vec x) { return choose(x < splat(0), splat(0), x); }
static inline vec f_sign(vec x) { return choose(x > splat(0), splat(1), choose(x < splat(0), splat(-1), x)); }
static inline vec f_maximum(vec a, vec b) { return choose(a != a, a, choose(b != b, b, choose(a > b, a, b))); }
static inline vec f_minimum(vec a, vec b) { return choose(a != a, a, choose(b != b, b, choose(a < b, a, b))); }
static inline vec f_pow(vec a, vec b) {
  vec y;
  for (int l = 0; l < W; l++) y[l] = std::pow(a[l], b[l]);
  return y;
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

// The kernel flushes denormal numbers to zero while it runs: states that decay would slow it down a hundredfold.
struct Flush {
#if defined(__SSE__)
  unsigned before = _mm_getcsr();
  Flush() { _mm_setcsr(before | 0x8040); }
  ~Flush() { _mm_setcsr(before); }
#endif
};
