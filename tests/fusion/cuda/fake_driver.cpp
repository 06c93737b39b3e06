// The functions of the CUDA driver that kernels need: they write down what they were given, into the file LOG, and the
// one that the environment variable FAKE_FAILURE names fails.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
static FILE* told() { static FILE* file = fopen(LOG, "a"); setbuf(file, nullptr); return file; }
static int status(const char* name) {
  const char* wrong = getenv("FAKE_FAILURE");
  return wrong && !strcmp(wrong, name) ? 719 : 0;
}
extern "C" {
int cuDeviceGet(int* device, int number) { *device = 70 + number; return 0; }
int cuDevicePrimaryCtxRetain(void** context, int device) { *context = (void*)(uintptr_t)(100 + device); return 0; }
static void* current = nullptr;
int cuCtxGetCurrent(void** context) { *context = current; return 0; }
int cuCtxPushCurrent_v2(void* context) {
  fprintf(told(), "push %zu\n", (size_t)context);
  current = context;
  return status(__func__);
}
int cuCtxPopCurrent_v2(void** context) {
  *context = current = nullptr;
  fprintf(told(), "pop\n");
  return 0;
}
int cuModuleLoadData(void** module, const char* image) {
  *module = (void*)0x700000001;
  fprintf(told(), "load %s\n", image + 5);
  return status(__func__);
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
  *function = (void*)((char*)module + 1);
  fprintf(told(), "function %s\n", name);
  return status(__func__);
}
int cuFuncSetAttribute(void* function, int attribute, int value) {
  fprintf(told(), "attribute %d %d\n", attribute, value);
  return 0;
}
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* found, void* function, int threads, size_t shared) {
  *found = 2;
  fprintf(told(), "occupancy %d %zu\n", threads, shared);
  return 0;
}
int cuLaunchCooperativeKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned a, unsigned b, unsigned c,
                              unsigned shared, void* stream, void** arguments) {
  const long long* words = (const long long*)arguments[0];
  fprintf(told(), "launch %zx: %u %u %u, %u %u %u, ", (size_t)function, x, y, z, a, b, c);
  fprintf(told(), "%u bytes, stream %zx, %lld %lld\n", shared, (size_t)stream, words[0], words[1]);
  return status(__func__);
}
int cuGetErrorName(int code, const char** name) { *name = "CUDA_ERROR_LAUNCH_FAILED"; return 0; }
int cuGetErrorString(int code, const char** text) { *text = "unspecified launch failure"; return 0; }
}
