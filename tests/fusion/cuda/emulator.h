// What prelude.cuh of the package is on a GPU, for a CPU: every thread of the launch is a fibre (emulator.cpp). fp32
// products round their operands to TF32 as the card does; tanh and the exponential are exact instead of approximate.
typedef unsigned int uint32_t;  // no header, which would take longer to compile than a kernel
typedef unsigned short uint16_t;
typedef unsigned char uint8_t;
typedef long long int64_t;
typedef __UINT64_TYPE__ uint64_t;
#define memcpy __builtin_memcpy
#define INFINITY __builtin_inff()
#define NAN as_float(0x7fffffffu)
#define F(name) float name##f(float);
#define F2(name) float name##f(float, float);
extern "C" {
F(exp) F(exp2) F(expm1) F(log) F(log2) F(log10) F(log1p) F(sqrt) F(erf) F(erfc) F(sin) F(cos) F(tan) F(asin) F(acos) F(atan)
F(sinh) F(cosh) F(tanh) F(asinh) F(acosh) F(atanh) F(floor) F(ceil) F(rint) F(trunc) F(fabs)
F2(atan2) F2(pow) F2(fmod) F2(fmin) F2(fmax)
}
#undef F
#undef F2

struct alignas(16) uint4 { uint32_t x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct half_ { uint16_t bits; };
struct bf16_ { uint16_t bits; };
struct Dim { unsigned x, y, z; };

namespace emulated {  // emulator.cpp
struct Place { Dim thread, block; void* shared; };
extern Place* place;       // of the fibre that runs
extern Dim grid, threads;  // sizes of the launch and of a block
extern bool disorder;
void block_barrier();
void warp_exchange(uint64_t mine, uint64_t* all);  // all[32]: what each lane gave
void warp_product(float* sum, const uint32_t* a, const uint32_t* b, int type);
void put_late(void* p, uint32_t word);
void settle(const void* p);  // what this block put there arrives
void poll();                 // another fibre runs first
}

#define UNROLL
#define DEVICE inline
#define TABLE static const
#define ALL 0xffffffffu
#define SHARED_MEMORY(name) float* name = (float*)emulated::place->shared
#define KERNEL(name)                                                             \
  static void name##_body(const Args& a);                                        \
  extern "C" void name(const void* words) { name##_body(*(const Args*)words); }  \
  static void name##_body(const Args& a)
#define threadIdx (emulated::place->thread)
#define blockIdx (emulated::place->block)
#define gridDim emulated::grid
#define blockDim emulated::threads

inline uint32_t as_bits(float x) { uint32_t y; memcpy(&y, &x, 4); return y; }
inline float as_float(uint32_t x) { float y; memcpy(&y, &x, 4); return y; }
inline float wide(bf16_ x) { return as_float((uint32_t)x.bits << 16); }
inline float wide(half_ x) {  // exponents by a multiplication, which also makes subnormal numbers normal
  const uint32_t sign = (uint32_t)(x.bits & 0x8000) << 16, rest = (uint32_t)(x.bits & 0x7fff) << 13;
  const uint32_t v = rest >= 0x0f800000u ? rest | 0x7f800000u : as_bits(as_float(rest) * as_float(0x77800000u));
  return as_float(sign | v);
}
inline void narrow(float f, bf16_* p) {
  const uint32_t x = as_bits(f);
  p->bits = f != f ? 0x7fff : (uint16_t)((x + 0x7fff + ((x >> 16) & 1)) >> 16);
}
inline void narrow(float f, half_* p) {
  const uint32_t x = as_bits(f), rest = x & 0x7fffffffu, sign = x >> 16 & 0x8000u;
  if (f != f) p->bits = 0x7fff;
  else if (rest >= 0x477ff000u) p->bits = (uint16_t)(sign | 0x7c00);  // rounds to infinity
  else if (rest < 0x38800000u) p->bits = (uint16_t)(sign | (as_bits(as_float(rest) + .5f) - as_bits(.5f)));  // subnormal
  else p->bits = (uint16_t)(sign | (rest - 0x38000000u + 0xfff + (rest >> 13 & 1)) >> 13);
}

typedef TYPE T;

template <class P> inline float load(const P* p) { if (emulated::disorder) emulated::settle(p); return wide(*p); }
inline float load(const float* p) { if (emulated::disorder) emulated::settle(p); return *p; }
template <class P> inline void store(P* p, float v) { if (emulated::disorder) emulated::settle(p); narrow(v, p); }
inline void store(float* p, float v) { if (emulated::disorder) emulated::settle(p); *p = v; }
template <class P> inline uint32_t bits(const P* p) { return p->bits; }
inline uint32_t bits(const float* p) { return as_bits(*p); }

inline void put(void* p, uint32_t word) {
  if (emulated::disorder) emulated::put_late(p, word);
  else *(uint32_t*)p = word;
}
inline uint32_t peek(const void* p) {
  const uint32_t word = *(const uint32_t*)p;
  if (word == ALL) emulated::poll();
  return word;
}
inline uint4 peek4(const void* p) { return *(const uint4*)p; }
inline void report(void* status) { *(int*)status = 1; }

inline uint32_t pair(float low, float high) {
  bf16_ one[2];
  half_ other[2];
  uint32_t word;
  if (TYPE_NUMBER == 2) narrow(low, other), narrow(high, other + 1), memcpy(&word, other, 4);
  else narrow(low, one), narrow(high, one + 1), memcpy(&word, one, 4);
  return word;
}
inline uint32_t rounded(uint32_t x) {  // to nearest, ties away from zero
  if (sizeof(T) == 2 || EXACT) return x;
  if ((x & 0x7f800000u) == 0x7f800000u) return x & 0x7fffffu ? 0x7fffffffu : x;
  return (x + 0x1000u) & 0xffffe000u;
}
inline void mma(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
  const uint32_t a[4] = {a0, a1, a2, a3}, b[2] = {b0, b1};
  emulated::warp_product(c, a, b, EXACT ? 3 : TYPE_NUMBER);
}

inline void __syncthreads() { emulated::block_barrier(); }
inline void __syncwarp(unsigned = ALL) { uint64_t all[32]; emulated::warp_exchange(0, all); }
inline unsigned __ballot_sync(unsigned, bool v) {
  uint64_t all[32];
  emulated::warp_exchange(v, all);
  unsigned votes = 0;
  for (int i = 0; i < 32; i++) votes |= (unsigned)all[i] << i;
  return votes;
}
inline bool __any_sync(unsigned lanes, bool v) { return __ballot_sync(lanes, v) != 0; }
inline bool __all_sync(unsigned lanes, bool v) { return __ballot_sync(lanes, v) == ALL; }
template <class V> inline V from_lane(V v, int lane) {
  uint64_t all[32], mine = 0;
  memcpy(&mine, &v, sizeof v);
  emulated::warp_exchange(mine, all);
  if (lane >= 0 && lane < 32) memcpy(&v, &all[lane], sizeof v);
  return v;
}
template <class V> inline V __shfl_sync(unsigned, V v, int lane) { return from_lane(v, lane % 32); }
template <class V> inline V __shfl_down_sync(unsigned, V v, int by) { return from_lane(v, (int)threadIdx.x % 32 + by); }
template <class V> inline V __shfl_up_sync(unsigned, V v, int by) { return from_lane(v, (int)threadIdx.x % 32 - by); }
template <class V> inline V __shfl_xor_sync(unsigned, V v, int by) { return from_lane(v, (int)threadIdx.x % 32 ^ by); }

inline float f_tanh(float x) { return tanhf(x); }
inline float f_sigmoid(float x) { return 1.f / (1.f + expf(-x)); }
