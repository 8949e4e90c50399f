// Runs .cu kernels on the CPU, so that they can be tested where there is no GPU: every CUDA thread is a fiber, and the
// blocks of a grid run one after another. What a GPU leaves undefined is made to show: shared memory begins as NaN, fibers
// take turns in an order that a seed decides, a barrier that not all reach is an error, and so is a warp operation in
// which a lane does not take part. What it cannot show: time, the memory order between blocks, and rounding by tensor cores.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

using std::max;
using std::min;

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
};

struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __restrict__ __restrict
#define __launch_bounds__(...)

namespace fibers {

constexpr int WARP = 32;

enum State : uint8_t { READY, AT_BARRIER, AT_WARP, DONE };

struct Warp;

/** Sixteen bytes on their way into shared memory; zeros if they come from nowhere. */
struct Copy {
  void* to;
  const void* from;
};

struct Fiber {
  void* stackPointer;
  uint3 thread;
  int linear, lane, line;
  Warp* warp;
  State state;
  /** Copies of no group yet, and the groups that are under way. */
  std::vector<Copy> copies;
  std::vector<std::vector<Copy>> groups;
};

struct Warp {
  uint32_t arrived, present;
  uint32_t masks[WARP];
  Fiber* lanes[WARP];
  /** What each lane gives the others. */
  alignas(16) unsigned char published[WARP][32];
};

struct Block {
  dim3 grid, size;
  uint3 index;
  Fiber* current;
  void* schedulerStack;
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  int live, waiting, line;
  void (*entry)(void*);
  void* argument;
  /** Where each shared array begins, by the place that declares it. */
  std::map<const void*, size_t> shared;
  size_t sharedUsed;
  /** What the launch asked for beside them. */
  unsigned char* dynamic;
};

extern Block* block;

void syncBlock(int line);
void syncWarp(uint32_t mask, int line);
/** Ends the grid with an error that `launch` throws. */
[[noreturn]] void fail(const std::string& message);
/** The shared array of a declaration: the same bytes for all threads of a block, NaN at first. */
void* sharedArray(const void* declaration, size_t bytes);
/** Ends the grid if eight of the rows that the warp's lanes have published, which are read at once, meet in a bank. */
void checkBanks();

/** Runs a grid with so many bytes of dynamic shared memory; `seed` decides in which order threads take turns. Throws std::runtime_error. */
void launch(void (*entry)(void*), void* argument, dim3 grid, dim3 size, size_t dynamic, uint64_t seed);

/** Every lane of `mask` gives `value` and gets that of lane `from`. */
template <class T>
T exchange(T value, int from, uint32_t mask, int line) {
  static_assert(sizeof(T) <= sizeof(Warp::published[0]));
  Fiber* fiber = block->current;
  Warp* warp = fiber->warp;
  std::memcpy(warp->published[fiber->lane], &value, sizeof(T));
  syncWarp(mask, line);
  T result;
  if ((mask >> (from & 31)) & (warp->present >> (from & 31)) & 1) std::memcpy(&result, warp->published[from & 31], sizeof(T));
  else std::memset(&result, 0xff, sizeof(T));  // undefined on a GPU
  syncWarp(mask, line);
  return result;
}

/** A kernel that the mock driver finds by name. */
struct Kernel {
  void (*call)(void** arguments);
  std::vector<size_t> sizes;
  /** Bytes of dynamic shared memory that it may be launched with (CUDA C++ Programming Guide: 48 KiB unless it is told). */
  size_t mostDynamic = 48 << 10;
};
std::map<std::string, Kernel>& kernels();

template <auto F, class... A, size_t... I>
void callWith(void (*)(A...), void** arguments, std::index_sequence<I...>) {
  F(*static_cast<A*>(arguments[I])...);
}
template <auto F, class... A>
Kernel kernelOf(void (*)(A...)) {
  return {[](void** arguments) {
            callWith<F>(static_cast<void (*)(A...)>(F), arguments, std::index_sequence_for<A...>{});
          },
          {sizeof(A)...}};
}
struct Registered {
  Registered(const char* name, Kernel kernel) { kernels()[name] = std::move(kernel); }
};

}  // namespace fibers

#define threadIdx (fibers::block->current->thread)
#define blockIdx (fibers::block->index)
#define blockDim (fibers::block->size)
#define gridDim (fibers::block->grid)
#define __syncthreads() fibers::syncBlock(__LINE__)
#define __syncwarp() fibers::syncWarp(~0u, __LINE__)
#define __shfl_sync(mask, value, from) fibers::exchange((value), (from), (mask), __LINE__)
#define __shfl_xor_sync(mask, value, by) fibers::exchange((value), fibers::block->current->lane ^ (by), (mask), __LINE__)
#define SHARED(T, name, count) \
  static char name##Declaration; \
  T* name = static_cast<T*>(fibers::sharedArray(&name##Declaration, sizeof(T) * (count)))
/** All that the launch asked for. */
#define DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(fibers::block->dynamic)
#define REGISTER_KERNEL(name) static fibers::Registered registered_##name(#name, fibers::kernelOf<&name>(&name))

static inline int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 32; i += 8) c += static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i);
  return c;
}
/** Four of the eight bytes of a and b, each chosen by three bits of a nibble. */
static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned places) {
  const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
  unsigned result = 0;
  for (int i = 0; i < 4; i++) result |= static_cast<unsigned>(bytes >> (8 * (places >> (4 * i) & 7)) & 255) << (8 * i);
  return result;
}
static inline int atomicMin(int* p, int value) {
  const int old = *p;
  *p = std::min(old, value);
  return old;
}
