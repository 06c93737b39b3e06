// What every kernel has in common. A block owns some columns of every width, and ROWS rows; the blocks that have all
// columns of the same rows are a team. Constants before this file: WK warps along the depth of a product times WN along
// its columns, MT times 16 rows, KEEP chunks of a warp's weight in registers and the others in shared memory, an operand
// loaded in PARTS, BLOCKS blocks of a team.
constexpr int CHUNK = 64 / sizeof(T), WARPS = WK * WN, THREADS = 32 * WARPS, ROWS = 16 * MT, LIMIT = 1 << 22;
constexpr int LANES = THREADS / ROWS < 32 ? THREADS / ROWS : 32;  // threads that reduce a row

// ---- elementary functions: torch's, NaN included
DEVICE float f_exp(float x) { return expf(x); }
DEVICE float f_exp2(float x) { return exp2f(x); }
DEVICE float f_expm1(float x) { return expm1f(x); }
DEVICE float f_sqrt(float x) { return sqrtf(x); }
DEVICE float f_rsqrt(float x) { return 1.f / sqrtf(x); }
DEVICE float f_log(float x) { return logf(x); }
DEVICE float f_log2(float x) { return log2f(x); }
DEVICE float f_log10(float x) { return log10f(x); }
DEVICE float f_log1p(float x) { return log1pf(x); }
DEVICE float f_erf(float x) { return erff(x); }
DEVICE float f_erfc(float x) { return erfcf(x); }
DEVICE float f_sin(float x) { return sinf(x); }
DEVICE float f_cos(float x) { return cosf(x); }
DEVICE float f_tan(float x) { return tanf(x); }
DEVICE float f_asin(float x) { return asinf(x); }
DEVICE float f_acos(float x) { return acosf(x); }
DEVICE float f_atan(float x) { return atanf(x); }
DEVICE float f_atan2(float x, float y) { return atan2f(x, y); }
DEVICE float f_sinh(float x) { return sinhf(x); }
DEVICE float f_cosh(float x) { return coshf(x); }
DEVICE float f_asinh(float x) { return asinhf(x); }
DEVICE float f_acosh(float x) { return acoshf(x); }
DEVICE float f_atanh(float x) { return atanhf(x); }
DEVICE float f_floor(float x) { return floorf(x); }
DEVICE float f_ceil(float x) { return ceilf(x); }
DEVICE float f_round(float x) { return rintf(x); }  // a half goes to the even neighbour
DEVICE float f_trunc(float x) { return truncf(x); }
DEVICE float f_pow(float x, float y) { return powf(x, y); }
DEVICE float f_fmod(float x, float y) { return fmodf(x, y); }
DEVICE float f_remainder(float x, float y) {
  const float rest = fmodf(x, y);
  return rest != 0.f && (rest < 0.f) != (y < 0.f) ? rest + y : rest;
}
DEVICE float f_abs(float x) { return fabsf(x); }
DEVICE float f_relu(float x) { return x < 0.f ? 0.f : x; }
DEVICE float f_sign(float x) { return x > 0.f ? 1.f : x < 0.f ? -1.f : 0.f; }
DEVICE float f_maximum(float x, float y) { return x != x ? x : y != y ? y : x > y ? x : y; }
DEVICE float f_minimum(float x, float y) { return x != x ? x : y != y ? y : x < y ? x : y; }
DEVICE float f_add(float x, float y) { return x + y; }

// ---- the exchange. A word carries its own arrival: it was all ones before, and nobody puts all ones.
DEVICE void empty(uint32_t& found, uint32_t x) {
  if (sizeof(T) == 4) found = found > x ? found : x;
  else found |= ((x & 0x7fff7fffu) + 0x00010001u) & x;
}
DEVICE bool empty(uint32_t found) { return sizeof(T) == 4 ? found == ALL : (found & 0x80008000u) != 0; }

// A number of a product's operand: two narrow ones make a word, so all lanes call it, and `in` is that of the even lane.
DEVICE void publish(T* p, float v, bool in) {
  if (sizeof(T) == 4) {
    const uint32_t word = as_bits(v);
    if (in) put(p, word == ALL ? 0x7fffffffu : word);
  } else {
    const float other = __shfl_down_sync(ALL, v, 1);
    if (in && threadIdx.x % 2 == 0) put(p, pair(v, other));
  }
}
DEVICE void publish_alone(T* p, float v) {  // the only number of a row
  if (sizeof(T) == 4) {
    const uint32_t word = as_bits(v);
    put(p, word == ALL ? 0x7fffffffu : word);
  } else {
    put(p, pair(v, 0.f));
  }
}
DEVICE void publish_float(float* p, float v) {
  const uint32_t word = as_bits(v);
  put(p, word == ALL ? 0x7fffffffu : word);
}
DEVICE float await(const float* p, bool& dead) {
  uint32_t word;
  int budget = dead ? 1 : LIMIT;
  do word = peek(p);
  while (word == ALL && --budget > 0);
  dead |= word == ALL;
  return as_float(word);
}

// ---- a product: CHUNKS chunks of depth times TILES tiles of 8 columns of the weight, which never leave the block; a row
// of its partial sums begins WIDE floats after the row before
template <int CHUNKS, int TILES, int WIDE>
struct Product {
  static constexpr int COUNT = (CHUNKS + WK - 1) / WK, TW = (TILES + WN - 1) / WN;
  static constexpr int IN = KEEP < COUNT ? KEEP : COUNT, OUT = COUNT - IN, PART = (COUNT + PARTS - 1) / PARTS;
  static constexpr int SUMS = WK * ROWS * WIDE, FAR = OUT * TW * THREADS;  // shared memory: floats, vectors
  uint4 w[IN > 0 ? IN : 1][TW];

  // `number(n, chunk, k)` returns the bits of the weight at column n of the block's and number k of a chunk
  template <class F>
  DEVICE void fill(uint4* far, F number) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, first = warp / WN * COUNT;
    UNROLL for (int c = 0; c < COUNT; c++) UNROLL for (int m = 0; m < TW; m++) {
      const int chunk = first + c, tile = warp % WN * TW + m, n = tile * 8 + lane / 4, k = lane % 4 * (CHUNK / 4);
      uint32_t word[4] = {0, 0, 0, 0};
      if (chunk < CHUNKS && tile < TILES) UNROLL for (int i = 0; i < 4; i++)
        word[i] = sizeof(T) == 4 ? rounded(number(n, chunk, k + i))
                                 : number(n, chunk, k + 2 * i) | number(n, chunk, k + 2 * i + 1) << 16;
      const uint4 v = uint4{word[0], word[1], word[2], word[3]};
      if (c < IN) w[c < IN ? c : 0][m] = v;
      else far[((c - IN) * TW + m) * THREADS + threadIdx.x] = v;
    }
  }

  // `operand`: this step's, at the first row of the group, of which `left` exist, `stride` apart
  DEVICE void run(const T* operand, int64_t stride, int left, const uint4* far, float* sums, bool& dead) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, first = warp / WN * COUNT;
    const int from = first * CHUNK + lane % 4 * (CHUNK / 4);
    float sum[MT][TW][4];
    UNROLL for (int i = 0; i < MT; i++) UNROLL for (int m = 0; m < TW; m++) UNROLL for (int j = 0; j < 4; j++)
      sum[i][m][j] = 0.f;
    UNROLL for (int part = 0; part < PARTS; part++) {
      uint4 v[PART][2 * MT];
      int budget = dead ? 1 : LIMIT;
      bool again = true;
      do {
        uint32_t found = 0;
        UNROLL for (int c = 0; c < PART; c++) UNROLL for (int i = 0; i < 2 * MT; i++) {
          const int r = lane / 4 + 8 * i, n = part * PART + c;
          const bool in = n < COUNT && first + n < CHUNKS && r < left;
          v[c][i] = in ? peek4(operand + r * stride + from + n * CHUNK) : uint4{0, 0, 0, 0};
        }
        UNROLL for (int c = 0; c < PART; c++) UNROLL for (int i = 0; i < 2 * MT; i++)
          empty(found, v[c][i].x), empty(found, v[c][i].y), empty(found, v[c][i].z), empty(found, v[c][i].w);
        again = __any_sync(ALL, empty(found));
      } while (again && --budget > 0);
      dead |= again;
      UNROLL for (int c = 0; c < PART; c++) {
        const int n = part * PART + c;
        if (n >= COUNT) continue;
        UNROLL for (int i = 0; i < 2 * MT; i++)
          v[c][i] = uint4{rounded(v[c][i].x), rounded(v[c][i].y), rounded(v[c][i].z), rounded(v[c][i].w)};
        UNROLL for (int m = 0; m < TW; m++) {
          const uint4 b = n < IN ? w[n < IN ? n : 0][m] : far[((n - IN) * TW + m) * THREADS + threadIdx.x];
          UNROLL for (int i = 0; i < MT; i++)
            mma(sum[i][m], v[c][2 * i].x, v[c][2 * i + 1].x, v[c][2 * i].y, v[c][2 * i + 1].y, b.x, b.y);
          UNROLL for (int i = 0; i < MT; i++)
            mma(sum[i][m], v[c][2 * i].z, v[c][2 * i + 1].z, v[c][2 * i].w, v[c][2 * i + 1].w, b.z, b.w);
        }
      }
    }
    float* out = sums + (warp / WN * ROWS + lane / 4) * WIDE + warp % WN * TW * 8 + lane % 4 * 2;
    UNROLL for (int m = 0; m < TW; m++) {
      if (TILES % WN != 0 && warp % WN * TW + m >= TILES) continue;
      UNROLL for (int i = 0; i < MT; i++) {
        *(float2*)(out + 16 * i * WIDE + m * 8) = float2{sum[i][m][0], sum[i][m][1]};
        *(float2*)(out + (16 * i + 8) * WIDE + m * 8) = float2{sum[i][m][2], sum[i][m][3]};
      }
    }
  }

  DEVICE static float total(const float* sums, int row, int column) {
    float sum = 0.f;
    UNROLL for (int k = 0; k < WK; k++) sum += sums[(k * ROWS + row) * WIDE + column];
    return sum;
  }
};

// ---- a reduction over a row's columns, in one order whatever the timing
template <class F>
DEVICE float over_lanes(F combine, float v) {
  UNROLL for (int by = LANES / 2; by > 0; by /= 2) v = combine(v, __shfl_xor_sync(ALL, v, by));
  return v;
}

// COUNT reductions at once. `terms[(n * ROWS + row) * COLUMNS + j]` are this block's in shared memory; `shown` is where the
// team's blocks put theirs, TEAM words a reduction, row by row `stride` apart; whole[n * ROWS + row] becomes the result.
// Of TEAM blocks that have columns of the row this one is `mine`.
template <int COLUMNS, int TEAM, int COUNT, class F>
DEVICE void reduce(F combine, float neutral, const float* terms, float* shown, int64_t stride, int mine, int left,
                   float* whole, bool& dead) {
  constexpr int EACH = (TEAM + LANES - 1) / LANES;
  __syncthreads();
  const int row = threadIdx.x / LANES, lane = threadIdx.x % LANES;
  float v[COUNT];
  UNROLL for (int n = 0; n < COUNT; n++) {
    v[n] = neutral;
    if (row < ROWS) for (int j = lane; j < COLUMNS; j += LANES) v[n] = combine(v[n], terms[(n * ROWS + row) * COLUMNS + j]);
    v[n] = over_lanes(combine, v[n]);
  }
  if (TEAM > 1) {
    const bool in = row < ROWS && row < left;
    UNROLL for (int n = 0; n < COUNT; n++)
      if (in && lane == n % LANES) publish_float(shown + row * stride + n * TEAM + mine, v[n]);
    uint32_t word[COUNT][EACH];
    int budget = dead ? 1 : LIMIT;
    bool again = true;
    do {  // all words are asked for before one is looked at
      again = false;
      UNROLL for (int n = 0; n < COUNT; n++) UNROLL for (int i = 0; i < EACH; i++) {
        const int j = lane + i * LANES;
        word[n][i] = in && j < TEAM ? peek(shown + row * stride + n * TEAM + j) : 0;
      }
      UNROLL for (int n = 0; n < COUNT; n++) UNROLL for (int i = 0; i < EACH; i++) again |= word[n][i] == ALL;
      again = __any_sync(ALL, again);
    } while (again && --budget > 0);
    dead |= again;
    UNROLL for (int n = 0; n < COUNT; n++) {
      v[n] = neutral;
      UNROLL for (int i = 0; i < EACH; i++)
        if (in && lane + i * LANES < TEAM) v[n] = combine(v[n], as_float(word[n][i]));
      v[n] = over_lanes(combine, v[n]);
    }
  }
  UNROLL for (int n = 0; n < COUNT; n++) if (row < ROWS && lane == 0) whole[n * ROWS + row] = v[n];
  __syncthreads();
}
