// Elementary functions of vectors, accurate to a few units in the last place; by torch's rules for infinities and NaN.

#ifndef FUNCTION
#define FUNCTION static inline  // a kernel of many calls has them as calls: the compiler would take minutes
#endif

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

// v times 2^k.
static inline vec lift(vec v, Power two) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return (vec)_mm512_scalef_ps((__m512)v, (__m512)two.k);
  else return (vec)_mm512_scalef_pd((__m512d)v, (__m512d)two.k);
#else
  return v * two.scale;
#endif
}

// x = k ln 2 + r with an integer k and |r| <= ln(2) / 2; q = (exp(r) - 1 - r) / r^2, exact to the last bits.
struct Reduced {
  vec r, q;
  Power two;
  vec exp() const { return lift((q * r + (T)1) * r + (T)1, two); }
  vec expm1() const { return two.scale * (q * r * r + r) + (two.scale - (T)1); }  // near zero too
};
static inline Reduced reduce(vec x) {
  Power two = power(x * (T)1.44269504088896340736);
  vec r, q;
  if (sizeof(T) == 4) {
    r = x - two.k * (T)0.693145751953125;  // ln 2 in two parts: k times the first is exact
    r = r - two.k * (T)1.42860682030941723212e-6;
    q = splat((T)0.0013814466849545778);  // the polynomial with the smallest largest error of exp(r)
    const double coefficients[] = {0.00836878054811555, 0.041668394224353374, 0.16666520106644322, 0.4999999341241531};
    for (double c : coefficients) q = q * r + (T)c;
  } else {
    r = x - two.k * (T)0.693147180369123816490;
    r = r - two.k * (T)1.90821492927058770002e-10;
    q = splat((T)(1.0 / 6227020800.0));
    const double inverse_factorials[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                                         1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5};
    for (double c : inverse_factorials) q = q * r + (T)c;
  }
  return {r, q, two};
}
static const T LOW = sizeof(T) == 4 ? (T)-87.3 : (T)-708.3, HIGH = sizeof(T) == 4 ? (T)88.3 : (T)709.4;

static const T TOP = sizeof(T) == 4 ? (T)88 : (T)709, OVERFLOWS = sizeof(T) == 4 ? (T)88.7228391 : (T)709.782712893384;

// 2^k itself overflows a little before exp does: above TOP the exponential of x - 1 is multiplied by e.
FUNCTION vec f_exp(vec x) {
  mask top = x > splat(TOP);
  Reduced e = reduce(clamp(x - choose(top, splat(1), splat(0)), LOW, HIGH));
  vec y = e.exp() * choose(top, splat((T)2.71828182845904523536), splat(1));
  y = choose(x > splat(OVERFLOWS), splat((T)INFINITY), y);
  return choose(x < splat(LOW), splat((T)0), y);  // what is denormal is 0
}
FUNCTION vec f_sigmoid(vec x) {
  return (T)1 / ((T)1 + reduce(clamp(-x, LOW, HIGH)).exp());
}
FUNCTION vec f_expm1(vec x) {
  return choose(x > splat(TOP), f_exp(x), reduce(clamp(x, LOW, HIGH)).expm1());
}
// tanh(x) = expm1(2x) / (expm1(2x) + 2): exact near zero too, where 1 - 2 / (exp(2x) + 1) cancels.
FUNCTION vec f_tanh(vec x) {
  const T top = sizeof(T) == 4 ? (T)20 : (T)40;
  vec m = reduce(clamp(x + x, -top, top)).expm1();
  return m / (m + (T)2);
}
// log(x) of normal positive x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)], by a series in s = f / (2 + f): the
// coefficients and the order of the sums are those of FreeBSD's msun (e_log.c, e_logf.c).
static inline vec logarithm(vec x) {
  const Int one = sizeof(T) == 4 ? 0x3f800000 : (Int)((i64)0x3ff00000 << 32), digits = sizeof(T) == 4 ? 23 : 52;
  const Int root = sizeof(T) == 4 ? 0x3f3504f3 : (Int)((i64)0x3fe6a09e << 32);  // the bits of sqrt(1/2)
  const mask i = (mask)x + (one - root);
  const mask k = (i >> digits) - (one >> digits);
  const vec f = (vec)((i & (((Int)1 << digits) - 1)) + root) - (T)1;
  vec r;
  const vec n = __builtin_convertvector(k, vec), s = f / (f + (T)2), z = s * s, half = f * f * (T)0.5;
  if constexpr (sizeof(T) == 4) {
    r = z * ((T)0.66666662693 + z * ((T)0.40000972152 + z * ((T)0.28498786688 + z * (T)0.24279078841)));
    return s * (half + r) + n * (T)9.0580006145e-06 - half + f + n * (T)6.9313812256e-01;
  } else {
    r = splat((T)1.479819860511658591e-01);
    const double terms[] = {1.531383769920937332e-01, 1.818357216161805012e-01, 2.222219843214978396e-01,
                            2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01};
    for (double c : terms) r = r * z + (T)c;
    return s * (half + r * z) + n * (T)1.90821492927058770002e-10 - half + f + n * (T)6.93147180369123816490e-01;
  }
}
FUNCTION vec f_log(vec x) {
  vec y = choose(x == splat((T)INFINITY), x, logarithm(x));
  y = choose(x == splat(0), splat((T)-INFINITY), y);
  return choose(x < splat(0), splat((T)NAN), choose(x != x, x, y));
}
// What 1 + x rounds away is added to first order.
FUNCTION vec f_log1p(vec x) {
  vec u = x + (T)1;
  vec y = logarithm(u) + (x - (u - (T)1)) / u;
  y = choose(x == splat((T)INFINITY), x, y);
  y = choose(x == splat(-1), splat((T)-INFINITY), y);
  return choose(x < splat(-1), splat((T)NAN), choose(x != x, x, y));
}
// Functions of the C library, of one and of two arguments, lane by lane.
#define LIBRARY(name, ...) (sizeof(T) == 4 ? (T)__builtin_##name##f(__VA_ARGS__) : (T)__builtin_##name(__VA_ARGS__))
#define LANES(name, function)                                          \
  FUNCTION vec name(vec x) {                                           \
    vec y;                                                             \
    for (int l = 0; l < W; l++) y[l] = LIBRARY(function, x[l]);        \
    return y;                                                          \
  }
#define PAIRS(name, call)                                              \
  FUNCTION vec name(vec a, vec b) {                                    \
    vec y;                                                             \
    for (int l = 0; l < W; l++) {                                      \
      T v = a[l], w = b[l];                                            \
      y[l] = call;                                                     \
    }                                                                  \
    return y;                                                          \
  }
// The rest of a division, with the sign of the divisor.
static inline T remainder_of(T v, T w) {
  T rest = LIBRARY(fmod, v, w);
  return rest != 0 && (w < 0) != (rest < 0) ? rest + w : rest;
}
LANES(f_sqrt, sqrt)
LANES(f_sin, sin)
LANES(f_cos, cos)
LANES(f_tan, tan)
LANES(f_asin, asin)
LANES(f_acos, acos)
LANES(f_atan, atan)
LANES(f_sinh, sinh)
LANES(f_cosh, cosh)
LANES(f_asinh, asinh)
LANES(f_acosh, acosh)
LANES(f_atanh, atanh)
LANES(f_exp2, exp2)
LANES(f_log2, log2)
LANES(f_log10, log10)
LANES(f_erf, erf)
LANES(f_erfc, erfc)
LANES(f_floor, floor)
LANES(f_ceil, ceil)
LANES(f_round, nearbyint)  // a half goes to the even neighbour
LANES(f_trunc, trunc)
PAIRS(f_pow, LIBRARY(pow, v, w))
PAIRS(f_fmod, LIBRARY(fmod, v, w))
PAIRS(f_remainder, remainder_of(v, w))
PAIRS(f_atan2, LIBRARY(atan2, v, w))
FUNCTION vec f_rsqrt(vec x) { return (T)1 / f_sqrt(x); }
static inline vec f_abs(vec x) { return (vec)((mask)x & ~(mask)splat((T)-0.0)); }
static inline vec f_relu(vec x) { return choose(x < splat(0), splat(0), x); }
static inline vec f_sign(vec x) { return choose(x > splat(0), splat(1), choose(x < splat(0), splat(-1), splat(0))); }
static inline vec f_maximum(vec a, vec b) { return choose(a != a, a, choose(b != b, b, choose(a > b, a, b))); }
static inline vec f_minimum(vec a, vec b) { return choose(a != a, a, choose(b != b, b, choose(a < b, a, b))); }
