// Runs a kernel whose text was compiled with emulator.h: a fibre for each thread of the launch, all on one thread of the
// system, so that a run can be repeated. A fibre runs until it meets others (a barrier, a shuffle, a product of a warp) or
// polls. In disorder, the next fibre is drawn at random, some blocks and warps run much slower than others for a while,
// and words that were put arrive late and in any order.
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <random>
#include <vector>

struct Dim { unsigned x, y, z; };

namespace emulated {
struct Place { Dim thread, block; void* shared; };
Place* place;
Dim grid, threads;
bool disorder;
}  // namespace emulated
using namespace emulated;

namespace {

constexpr size_t STACK = 512 << 10, GUARD = 4096;
constexpr uint8_t UNTOUCHED = 0xa5;

struct Fibre;
struct Gate {  // where `needed` fibres meet
  unsigned needed;
  std::vector<Fibre*> arrived;
};
struct Warp {
  Gate gate;
  uint64_t given[32], *taken[32];
  uint32_t a[32][4], b[32][2];
  float* sums[32];
};
struct Word { uint32_t* at; uint32_t value; };
struct Block {
  Gate gate;
  std::vector<Warp> warps;
  std::vector<Word> late;
  std::unique_ptr<uint8_t, void (*)(void*)> shared{nullptr, free};
  unsigned slow;
};
struct Fibre {
  Place place;  // first: `place` points to it
  Block* block;
  Warp* warp;
  jmp_buf at;
  ucontext_t first;
  bool started;
};

std::deque<Fibre*> ready;
std::vector<Fibre> fibres;
std::vector<std::unique_ptr<uint8_t[]>> stacks;  // kept for the next launch
std::vector<Block> blocks;
std::vector<unsigned> slow_warps;
std::mt19937 draw;
unsigned running, picks;
jmp_buf ended;
void (*kernel)(const void*);
const void* words;
char message[400];

Fibre* current() { return (Fibre*)place; }

void fail(const char* text) {
  snprintf(message, sizeof message, "thread %u of block %u: %s", place->thread.x, place->block.x, text);
  _longjmp(ended, 1);
}

void arrive(std::vector<Word>& late, size_t n) {
  *late[n].at = late[n].value;
  late[n] = late.back();
  late.pop_back();
}

void arrive_some() {
  for (Block& block : blocks)
    for (unsigned n = draw() % 4; n > 0 && !block.late.empty(); n--) arrive(block.late, draw() % block.late.size());
}

unsigned speed(const Fibre* fibre) {
  return fibre->block->slow + slow_warps[(fibre - fibres.data()) / 32];
}

Fibre* pick() {
  if (disorder) {
    if (picks++ % 2048 == 0) {
      for (Block& block : blocks) block.slow = draw() % 3;
      for (unsigned& slow : slow_warps) slow = draw() % 3;
    }
    if (picks % 8 == 0) arrive_some();
    size_t best = draw() % ready.size();
    for (int n = 0; n < 3; n++)
      if (const size_t other = draw() % ready.size(); speed(ready[other]) < speed(ready[best])) best = other;
    std::swap(ready[best], ready.front());
  }
  Fibre* fibre = ready.front();
  ready.pop_front();
  return fibre;
}

void resume() {  // whichever fibre is next
  if (ready.empty()) {
    for (Block& block : blocks)
      for (Warp& warp : block.warps)
        if (!warp.gate.arrived.empty()) place = &warp.gate.arrived[0]->place;
    for (Block& block : blocks)
      if (!block.gate.arrived.empty()) place = &block.gate.arrived[0]->place;
    fail("waits at a barrier, a shuffle or a product that others never reach");
  }
  Fibre* next = pick();
  place = &next->place;
  if (next->started) _longjmp(next->at, 1);
  next->started = true;
  setcontext(&next->first);
}

void pause() {
  if (!_setjmp(current()->at)) resume();
}

template <class Work> void meet(Gate& gate, Work work) {
  gate.arrived.push_back(current());
  if (gate.arrived.size() < gate.needed) return pause();
  work();
  gate.arrived.pop_back();
  ready.insert(ready.end(), gate.arrived.begin(), gate.arrived.end());
  gate.arrived.clear();
  if (disorder) ready.push_back(current()), pause();
}

void body() {
  kernel(words);
  if (--running == 0) _longjmp(ended, 1);
  resume();
}

float wide(uint16_t x, int type) {
  uint32_t v = (uint32_t)x << 16;
  float f;
  if (type == 2) {  // fp16
    const uint32_t rest = (uint32_t)(x & 0x7fff) << 13, scale = 0x77800000u;
    float by;
    memcpy(&f, &rest, 4), memcpy(&by, &scale, 4);
    f *= by;
    memcpy(&v, &f, 4);
    if (rest >= 0x0f800000u) v = rest | 0x7f800000u;
    v |= (uint32_t)(x & 0x8000) << 16;
  }
  memcpy(&f, &v, 4);
  return f;
}

constexpr int EXACT = 3;

// m16n8k16 of narrow numbers, m16n8k8 of TF32: fragments as the PTX manual lays them out
void product(Warp& warp, int type) {
  const int packed = type == 0 || type == EXACT ? 1 : 2, depth = 8 * packed;
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; lane++)
    for (int half = 0; half < packed; half++) {
      const auto number = [&](uint32_t x) {
        if (packed == 2) return wide((uint16_t)(half ? x >> 16 : x), type);
        if (type != EXACT) x &= 0xffffe000u;  // the card ignores the other digits
        float f;
        memcpy(&f, &x, 4);
        return f;
      };
      const int k = lane % 4 * packed + half;
      for (int i = 0; i < 4; i++) a[lane / 4 + i % 2 * 8][k + i / 2 * 4 * packed] = number(warp.a[lane][i]);
      for (int i = 0; i < 2; i++) b[k + i * 4 * packed][lane / 4] = number(warp.b[lane][i]);
    }
  for (int lane = 0; lane < 32; lane++)
    for (int i = 0; i < 4; i++)
      for (int k = 0; k < depth; k++)
        warp.sums[lane][i] += a[lane / 4 + i / 2 * 8][k] * b[k][lane % 4 * 2 + i % 2];
}

}  // namespace

namespace emulated {

void block_barrier() { meet(current()->block->gate, [] {}); }

void warp_exchange(uint64_t mine, uint64_t* all) {
  Warp& warp = *current()->warp;
  const unsigned lane = place->thread.x % 32;
  warp.given[lane] = mine;
  warp.taken[lane] = all;
  meet(warp.gate, [&] {
    for (uint64_t* to : warp.taken) memcpy(to, warp.given, sizeof warp.given);
  });
}

void warp_product(float* sum, const uint32_t* a, const uint32_t* b, int type) {
  Warp& warp = *current()->warp;
  const unsigned lane = place->thread.x % 32;
  memcpy(warp.a[lane], a, 16);
  memcpy(warp.b[lane], b, 8);
  warp.sums[lane] = sum;
  meet(warp.gate, [&] { product(warp, type); });
}

void settle(const void* p) {
  const uintptr_t at = (uintptr_t)p & ~(uintptr_t)3;
  std::vector<Word>& late = current()->block->late;
  for (size_t n = 0; n < late.size(); n++)
    if ((uintptr_t)late[n].at == at) arrive(late, n--);
}

void put_late(void* p, uint32_t word) {
  settle(p);
  current()->block->late.push_back({(uint32_t*)p, word});
}

void poll() {
  ready.push_back(current());
  pause();
}

}  // namespace emulated

extern "C" {

// ---- called by the undefined behaviour sanitizer, with the place in the text first
struct Where { const char* file; uint32_t line, column; };
static void wrong(const Where* where, const char* what) {
  char text[200];
  snprintf(text, sizeof text, "%s in line %u of the text", what, where->line);
  fail(text);
}
void __ubsan_handle_type_mismatch_v1(Where* where, void*) { wrong(where, "an address is not a multiple of the type's size"); }
void __ubsan_handle_out_of_bounds(Where* where, void*) { wrong(where, "an index is beyond its array"); }

// Returns what went wrong, or null.
const char* launch(void (*function)(const void*), const void* arguments, unsigned count, unsigned size, unsigned shared, int seed) {
  kernel = function, words = arguments, disorder = seed >= 0;
  grid = {count, 1, 1}, threads = {size, 1, 1};
  draw.seed(seed), picks = 0, message[0] = 0, running = count * size;
  blocks = std::vector<Block>(count);
  fibres = std::vector<Fibre>(count * size);
  slow_warps.assign(count * size / 32, 0);
  ready.clear();
  for (unsigned b = 0; b < count; b++) {
    Block& block = blocks[b];
    block.gate.needed = size;
    block.warps = std::vector<Warp>(size / 32);
    for (Warp& warp : block.warps) warp.gate.needed = 32;
    block.shared.reset((uint8_t*)aligned_alloc(128, (shared + GUARD + 127) / 128 * 128));
    memset(block.shared.get(), 0xff, shared);  // NaN: nothing may be read before it was written
    memset(block.shared.get() + shared, UNTOUCHED, GUARD);
    for (unsigned t = 0; t < size; t++) {
      Fibre& fibre = fibres[b * size + t];
      fibre.place = {{t, 0, 0}, {b, 0, 0}, block.shared.get()};
      fibre.block = &block, fibre.warp = &block.warps[t / 32];
      if (stacks.size() <= b * size + t) stacks.emplace_back(new uint8_t[STACK]);
      getcontext(&fibre.first);
      fibre.first.uc_stack.ss_sp = stacks[b * size + t].get(), fibre.first.uc_stack.ss_size = STACK, fibre.first.uc_link = nullptr;
      makecontext(&fibre.first, body, 0);
      ready.push_back(&fibre);
    }
  }
  if (!_setjmp(ended)) resume();
  for (unsigned b = 0; b < count; b++) {
    for (Word& word : blocks[b].late) *word.at = word.value;
    const uint8_t* end = blocks[b].shared.get() + shared;
    if (!message[0] && !std::all_of(end, end + GUARD, [](uint8_t x) { return x == UNTOUCHED; }))
      snprintf(message, sizeof message, "block %u wrote past its %u bytes of shared memory", b, shared);
  }
  fibres.clear(), blocks.clear();
  return message[0] ? message : nullptr;
}
}
