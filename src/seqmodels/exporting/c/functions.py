"""C functions that generated steps call, each with those it needs itself; a file holds the ones it uses."""

from collections.abc import Iterable

OWN: dict[str, tuple[str, str]] = {
    "magnitude": (
        "",
        "/* |x|, at most the number with these bits; NaN stays. In integers: gcc branches on floats. */\n"
        "static inline float magnitude(float x, int32_t limit) {\n"
        "  int32_t bits;\n"
        "  memcpy(&bits, &x, sizeof bits);\n"
        "  bits &= 0x7fffffff;\n"
        "  limit |= -(int32_t)(bits > 0x7f800000) & 0x7fffffff;\n"
        "  bits = bits < limit ? bits : limit;\n"
        "  memcpy(&x, &bits, sizeof x);\n"
        "  return x;\n"
        "}",
    ),
    "nearest": (
        "",
        "/* The integer n for which x - n ln 2 is smallest: the sum rounds to it and holds it in its low bits. */\n"
        "static inline int32_t nearest(float x) {\n"
        "  const float sum = x * 1.44269504f + 12582912.0f;\n"
        "  uint32_t bits;\n"
        "  memcpy(&bits, &sum, sizeof bits);\n"
        "  return (int32_t)(bits - 0x4b400000u);\n"
        "}",
    ),
    "power": (
        "",
        "/* 2 to the n, for n in [-126, 127]. */\n"
        "static inline float power(int32_t n) {\n"
        "  const uint32_t bits = ((uint32_t)n + 127u) << 23;\n"
        "  float x;\n"
        "  memcpy(&x, &bits, sizeof x);\n"
        "  return x;\n"
        "}",
    ),
    "rest": (
        "",
        "/* x - n ln 2, with ln 2 in two parts: n times the first is exact. */\n"
        "static inline float rest(float x, int32_t n) {\n"
        "  return (x - (float)n * 0.693145751953125f) - (float)n * 1.42860677e-6f;\n"
        "}",
    ),
    "series": (
        "",
        "/* (exp(r) - 1 - r) / r^2 for |r| up to ln(2) / 2. */\n"
        "static inline float series(float r) {\n"
        "  float q = 0.00138144668f;\n"
        "  q = q * r + 0.00836878054f;\n"
        "  q = q * r + 0.0416683942f;\n"
        "  q = q * r + 0.166665201f;\n"
        "  return q * r + 0.499999934f;\n"
        "}",
    ),
    "f_exp": (
        "magnitude nearest power rest series",
        "static inline float f_exp(float x) {\n"
        "  x = copysignf(magnitude(x, 0x42d00000 /* 104 */), x);\n"
        "  const int32_t n = nearest(x), half = (int32_t)((uint32_t)n + 256u) / 2 - 128;\n"
        "  const float r = rest(x, n);\n"
        "  return (series(r) * r * r + r + 1.0f) * power(half) * power((int32_t)((uint32_t)n - (uint32_t)half));\n"
        "}",
    ),
    "f_sigmoid": (
        "magnitude nearest power rest series",
        "static inline float f_sigmoid(float x) {\n"
        "  const float a = -magnitude(x, 0x42ae0000 /* 87 */);\n"
        "  const int32_t n = nearest(a);\n"
        "  const float r = rest(a, n), e = (series(r) * r * r + r + 1.0f) * power(n);\n"
        "  return (x < 0.0f ? e : 1.0f) / (1.0f + e);\n"
        "}",
    ),
    "f_tanh": (
        "magnitude nearest power rest series",
        "/* -m / (m + 2) with m = exp(-2|x|) - 1, which is exact near 0 too. */\n"
        "static inline float f_tanh(float x) {\n"
        "  const float a = -2.0f * magnitude(x, 0x41200000 /* 10 */);\n"
        "  const int32_t n = nearest(a);\n"
        "  const float r = rest(a, n), scale = power(n), m = scale * (series(r) * r * r + r) + (scale - 1.0f);\n"
        "  return copysignf(m / (m + 2.0f), x);\n"
        "}",
    ),
    "f_relu": ("", "static inline float f_relu(float x) { return x < 0.0f ? 0.0f : x; }"),
    "f_sign": (
        "",
        "static inline float f_sign(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f; }",
    ),
    "f_maximum": (
        "",
        "static inline float f_maximum(float a, float b) { return a != a ? a : b != b ? b : a > b ? a : b; }",
    ),
    "f_minimum": (
        "",
        "static inline float f_minimum(float a, float b) { return a != a ? a : b != b ? b : a < b ? a : b; }",
    ),
    "f_rsqrt": ("", "static inline float f_rsqrt(float x) { return 1.0f / sqrtf(x); }"),
    "f_remainder": (
        "",
        "/* The rest of a division, with the sign of the divisor. */\n"
        "static inline float f_remainder(float a, float b) {\n"
        "  const float left = fmodf(a, b);\n"
        "  return left != 0.0f && (b < 0.0f) != (left < 0.0f) ? left + b : left;\n"
        "}",
    ),
}
"""By name, the other functions that one calls, and its text. exp and its relatives have no branch, so that compilers
vectorise the loops that call them, and what is no number stays none; their error is that of a few roundings. The
coefficients are those of ``fusion/cpp/elementary.h``."""

LIBRARY = {
    "exp2": "exp2f",
    "expm1": "expm1f",
    "sqrt": "sqrtf",
    "log": "logf",
    "log2": "log2f",
    "log10": "log10f",
    "log1p": "log1pf",
    "erf": "erff",
    "erfc": "erfcf",
    "sin": "sinf",
    "cos": "cosf",
    "tan": "tanf",
    "asin": "asinf",
    "acos": "acosf",
    "atan": "atanf",
    "atan2": "atan2f",
    "sinh": "sinhf",
    "cosh": "coshf",
    "asinh": "asinhf",
    "acosh": "acoshf",
    "atanh": "atanhf",
    "floor": "floorf",
    "ceil": "ceilf",
    "round": "nearbyintf",  # a half goes to the even neighbour
    "trunc": "truncf",
    "abs": "fabsf",
    "pow": "powf",
    "fmod": "fmodf",
}
"""Operators that are functions of <math.h>."""


def needed(names: Iterable[str]) -> list[str]:
    """Return the texts of functions and of all that they call, each before its callers."""
    found: dict[str, None] = {}

    def add(name: str) -> None:
        others, _ = OWN[name]
        for other in others.split():
            add(other)
        found.setdefault(name)

    for name in sorted(names):
        add(name)
    return [OWN[name][1] for name in found]
