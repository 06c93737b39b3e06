// What only a GPU has: loads and stores of narrow types, the matrix instruction, and memory that blocks exchange words
// in. The text needs no header. TYPE, PAIR and MMA are replaced for each dtype; tests replace this file by one that a CPU
// compiles, and compile everything else as it stands.
typedef unsigned int uint32_t;
typedef unsigned short uint16_t;
typedef unsigned char uint8_t;
typedef long long int64_t;
#define UNROLL _Pragma("unroll")
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#define DEVICE __device__ __forceinline__
#define TABLE __constant__ const
#define KERNEL(name) extern "C" __global__ void __launch_bounds__(THREADS, 1) name(const __grid_constant__ Args a)
#define SHARED_MEMORY(name) extern __shared__ float4 name##_raw[]; float* name = (float*)name##_raw
#define ALL 0xffffffffu
struct half_ { uint16_t bits; };
struct bf16_ { uint16_t bits; };
typedef TYPE T;

DEVICE float load(const float* p) { return *p; }
DEVICE float load(const half_* p) {
  float v;
  asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"(p->bits));
  return v;
}
DEVICE float load(const bf16_* p) { return __uint_as_float((uint32_t)p->bits << 16); }
DEVICE void store(float* p, float v) { *p = v; }
DEVICE void store(half_* p, float v) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(p->bits) : "f"(v)); }
DEVICE void store(bf16_* p, float v) { asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(p->bits) : "f"(v)); }
DEVICE uint32_t bits(const float* p) { return __float_as_uint(*p); }
DEVICE uint32_t bits(const half_* p) { return p->bits; }
DEVICE uint32_t bits(const bf16_* p) { return p->bits; }
DEVICE float as_float(uint32_t x) { return __uint_as_float(x); }
DEVICE uint32_t as_bits(float x) { return __float_as_uint(x); }

// Words that another block polls: whole, past the first-level cache, in no order with other words.
DEVICE void put(void* p, uint32_t word) {
  asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(word) : "memory");
}
DEVICE uint32_t peek(const void* p) {
  uint32_t v;
  asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}
DEVICE uint4 peek4(const void* p) {
  uint4 v;
  asm volatile("ld.relaxed.gpu.global.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p)
               : "memory");
  return v;
}
DEVICE void report(void* status) { asm volatile("st.relaxed.sys.global.u32 [%0], %1;" ::"l"(status), "r"(1) : "memory"); }

DEVICE uint32_t pair(float low, float high) {  // two numbers of T in a word; any NaN becomes 0x7fff
  uint32_t word;
  asm("PAIR %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}
DEVICE uint32_t rounded(uint32_t x) {  // fp32 to TF32, to nearest; narrow types are as they are
  if (sizeof(T) == 4) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(x) : "f"(__uint_as_float(x)));
  return x;
}
DEVICE void mma(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.MMA {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

DEVICE float f_tanh(float x) {
  if (sizeof(T) == 2) {
    float y;
    asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }
  const float two = __fdividef(2.f, 1.f + __expf(-2.f * x)) - 1.f;
  return fabsf(x) < 0.1f ? tanhf(x) : two;  // the difference loses the digits of a small result
}
DEVICE float f_sigmoid(float x) {
  if (sizeof(T) == 2) return .5f * f_tanh(.5f * x) + .5f;
  return __fdividef(1.f, 1.f + __expf(-x));
}
