/* An exported model as a WebAssembly module for node and browsers, see stream.mjs. With Debian's clang, lld, wasi-libc
   and libclang-rt-14-dev-wasm32:

   clang --target=wasm32-wasi -O3 -nostartfiles -Wl,--no-entry -Wl,--export-dynamic wasm.c model.c -o model.wasm
*/
#include "model.h"

#define EXPORTED __attribute__((visibility("default")))

static model_state state;
static float x[MODEL_INPUT], y[MODEL_OUTPUT];

EXPORTED int start(void) { return model_init(&state); }
EXPORTED int step(void) { return model_step(&state, x, y); }
EXPORTED float *input(void) { return x; }
EXPORTED float *output(void) { return y; }
EXPORTED int inputs(void) { return MODEL_INPUT; }
EXPORTED int outputs(void) { return MODEL_OUTPUT; }
