#include "fibers.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mutex>
#include <stdexcept>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define WITH_ASAN 1
#endif

namespace fibers {

Block* block = nullptr;

std::map<std::string, Kernel>& kernels() {
  static std::map<std::string, Kernel> all;
  return all;
}

// Saves the registers that a call keeps (System V AMD64 ABI, section 3.2.1), changes stacks, and takes those of the other side.
extern "C" void cria_switch_stack(void** save, void* to);
#if defined(__x86_64__)
asm(R"(
.text
.globl cria_switch_stack
.type cria_switch_stack,@function
cria_switch_stack:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size cria_switch_stack,.-cria_switch_stack
.section .note.GNU-stack,"",@progbits
.text
)");
constexpr int SAVED = 6;
#else
#error "fibers change stacks on x86-64 only"
#endif

namespace {

constexpr size_t PAGE = 4096;
constexpr size_t STACK = 64 << 10;
/** What a kernel may have without asking for more (CUDA C++ Programming Guide, technical specifications). */
constexpr size_t SHARED_BYTES = 48 << 10;
/** What one may have that asks, on the smallest of the GPUs in question (compute capability 8.6). */
constexpr size_t MOST_SHARED_BYTES = 99 << 10;
constexpr size_t DYNAMIC_ROOM = (MOST_SHARED_BYTES + PAGE - 1) / PAGE * PAGE;
/** How dynamic shared memory begins at least. */
constexpr size_t SHARED_ALIGN = 128;

// one grid at a time in the whole process: making stacks costs more than most current
std::mutex running;
std::vector<unsigned char*> stacks;
unsigned char* shared = nullptr;
unsigned char* dynamicEnd = nullptr;
std::string failure;

#ifdef WITH_ASAN
const void* schedulerBottom;
size_t schedulerSize;
#endif

/** Whether this thread is inside a kernel. */
thread_local bool inKernel = false;

unsigned char* guarded(size_t bytes) {
  auto* base = static_cast<unsigned char*>(
      mmap(nullptr, bytes + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (base == MAP_FAILED) throw std::runtime_error("no memory for fibers");
  mprotect(base, PAGE, PROT_NONE);
  mprotect(base + PAGE + bytes, PAGE, PROT_NONE);
  return base + PAGE;
}

void toScheduler([[maybe_unused]] bool forGood) {
  Fiber* fiber = block->current;
#ifdef WITH_ASAN
  void* fake;
  __sanitizer_start_switch_fiber(forGood ? nullptr : &fake, schedulerBottom, schedulerSize);
#endif
  cria_switch_stack(&fiber->stackPointer, block->schedulerStack);
#ifdef WITH_ASAN
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

void toFiber(Fiber& fiber) {
  block->current = &fiber;
#ifdef WITH_ASAN
  void* fake;
  __sanitizer_start_switch_fiber(&fake, stacks[fiber.linear], STACK);
#endif
  inKernel = true;
  cria_switch_stack(&block->schedulerStack, fiber.stackPointer);
  inKernel = false;
#ifdef WITH_ASAN
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

#ifndef WITH_ASAN  // which sees to faults itself
struct sigaction others;

/** A kernel that touches what is not its own ends with an error; faults of other threads are the engine's. */
void onFault(int signal, siginfo_t* info, void* context) {
  if (inKernel) fail("a kernel touched memory that is no buffer's");
  if (others.sa_flags & SA_SIGINFO) others.sa_sigaction(signal, info, context);
  else if (others.sa_handler != SIG_DFL && others.sa_handler != SIG_IGN) others.sa_handler(signal);
  else sigaction(SIGSEGV, &others, nullptr);
}

/** Catches faults while it lives. */
struct CatchFaults {
  CatchFaults() {
    struct sigaction action {};
    action.sa_sigaction = onFault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;  // it is left by changing stacks
    sigaction(SIGSEGV, &action, &others);
  }
  ~CatchFaults() {
    sigaction(SIGSEGV, &others, nullptr);
  }
};
#endif

void releaseBarrier() {
  for (Fiber& fiber : block->fibers)
    if (fiber.state == AT_BARRIER) fiber.state = READY;
  block->waiting = 0;
}

void fiberMain() {
#ifdef WITH_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &schedulerBottom, &schedulerSize);
#endif
  block->entry(block->argument);
  block->current->state = DONE;
  // threads that have returned are not waited for
  if (--block->live > 0 && block->waiting == block->live) releaseBarrier();
  toScheduler(true);
  __builtin_unreachable();
}

void prepare(Fiber& fiber, int linear, dim3 size) {
  fiber.linear = linear;
  fiber.lane = linear % WARP;
  fiber.line = 0;
  fiber.warp = &block->warps[linear / WARP];
  fiber.warp->present |= 1u << fiber.lane;
  fiber.warp->lanes[fiber.lane] = &fiber;
  fiber.thread = {linear % size.x, linear / size.x % size.y, linear / size.x / size.y};
  fiber.state = READY;
  fiber.copies.clear();
  fiber.groups.clear();
#ifdef WITH_ASAN
  ASAN_UNPOISON_MEMORY_REGION(stacks[linear], STACK);
#endif
  // a return address into fiberMain, below it the registers; the stack is 8 off a multiple of 16 on entry
  auto** top = reinterpret_cast<void**>(stacks[linear] + STACK - 64);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(fiberMain);
  for (int i = 0; i < SAVED; i++) *--top = nullptr;
  fiber.stackPointer = top;
}

[[noreturn]] void deadlock() {
  std::string message = "deadlock:";
  int told = 0;
  for (const Fiber& fiber : block->fibers) {
    if (fiber.state == DONE || told++ == 4) continue;
    message += " thread " + std::to_string(fiber.linear) + (fiber.state == AT_BARRIER ? " at the barrier" : " at the warp operation") +
               " of line " + std::to_string(fiber.line) + ";";
    if (told == 4) break;
  }
  throw std::runtime_error(message);
}

void runBlock(const std::vector<int>& order, bool warpByWarp) {
  block->live = static_cast<int>(block->fibers.size());
  block->waiting = 0;
  block->shared.clear();
  block->sharedUsed = 0;
  std::memset(shared, 0xff, SHARED_BYTES);
  if (block->dynamic) std::memset(block->dynamic, 0xff, dynamicEnd - block->dynamic);
  for (Warp& warp : block->warps) warp.arrived = warp.present = 0;
  for (size_t i = 0; i < block->fibers.size(); i++) prepare(block->fibers[i], static_cast<int>(i), block->size);
  while (block->live > 0) {
    bool ran = false;
    const auto turn = [&](Fiber* fiber) {
      if (!fiber || fiber->state != READY) return false;
      toFiber(*fiber);
      if (!failure.empty()) throw std::runtime_error(std::exchange(failure, {}));
      return ran = true;
    };
    for (int i : order) {
      Fiber& fiber = block->fibers[i];
      // a warp goes on until it waits for others, which have not begun by then
      for (bool went = turn(&fiber); went && warpByWarp;) {
        went = false;
        for (Fiber* lane : fiber.warp->lanes) went |= turn(lane);
      }
    }
    if (!ran) deadlock();
  }
}

/** The seed with which warps do not take turns. */
constexpr uint64_t WARP_BY_WARP = 3;

std::vector<int> orderOf(size_t count, uint64_t seed) {
  std::vector<int> order(count);
  for (size_t i = 0; i < count; i++) order[i] = static_cast<int>(i);
  if (seed == 1) std::reverse(order.begin(), order.end());
  // Fisher-Yates, numbers by Knuth's MMIX generator
  for (size_t i = count; seed > 1 && i > 1; i--) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    std::swap(order[i - 1], order[(seed >> 33) % i]);
  }
  return order;
}

}  // namespace

void fail(const std::string& message) {
  failure = message;
  block->current->state = DONE;
  toScheduler(true);
  __builtin_unreachable();
}

void syncBlock(int line) {
  Fiber* fiber = block->current;
  if (block->waiting > 0 && block->line != line)
    fail("threads at different barriers: thread " + std::to_string(fiber->linear) + " at line " + std::to_string(line) +
         ", others at line " + std::to_string(block->line));
  block->line = fiber->line = line;
  if (++block->waiting == block->live) {
    releaseBarrier();
    return;
  }
  fiber->state = AT_BARRIER;
  toScheduler(false);
}

void syncWarp(uint32_t mask, int line) {
  Fiber* fiber = block->current;
  Warp* warp = fiber->warp;
  mask &= warp->present;
  warp->arrived |= 1u << fiber->lane;
  warp->masks[fiber->lane] = mask;
  fiber->line = line;
  if ((warp->arrived & mask) != mask) {
    fiber->state = AT_WARP;
    toScheduler(false);
    return;
  }
  for (int lane = 0; lane < WARP; lane++) {
    if (!((mask >> lane) & 1)) continue;
    Fiber* other = warp->lanes[lane];
    if (warp->masks[lane] != mask || other->line != line)
      fail("lanes at different warp operations: lane " + std::to_string(fiber->lane) + " at line " + std::to_string(line) +
           ", lane " + std::to_string(lane) + " at line " + std::to_string(other->line));
    if (other != fiber) other->state = READY;
  }
  warp->arrived &= ~mask;
}

void* sharedArray(const void* declaration, size_t bytes) {
  auto [entry, isNew] = block->shared.try_emplace(declaration, block->sharedUsed);
  if (isNew) block->sharedUsed += (bytes + 15) / 16 * 16;
  if (block->sharedUsed > SHARED_BYTES) fail("more than " + std::to_string(SHARED_BYTES) + " bytes of shared memory");
  return shared + entry->second;
}

void checkBanks() {
  const Fiber* fiber = block->current;
  if (fiber->lane % 8 != 0) return;
  // rows of 16 bytes fill an eighth of the 32 banks each
  std::map<uintptr_t, uintptr_t> rows;
  for (int i = 0; i < 8; i++) {
    uintptr_t row;
    std::memcpy(&row, fiber->warp->published[fiber->lane + i], sizeof row);
    const auto [other, isNew] = rows.try_emplace(row / 16 % 8, row);
    if (!isNew && other->second != row)
      fail("line " + std::to_string(fiber->line) + ": rows of a matrix meet in a bank of shared memory");
  }
}

void launch(void (*entry)(void*), void* argument, dim3 grid, dim3 size, size_t dynamic, uint64_t seed) {
  std::lock_guard<std::mutex> lock(running);
#ifndef WITH_ASAN
  const CatchFaults faults;
#endif
  const size_t count = size_t(size.x) * size.y * size.z;
  if (!shared) shared = guarded(SHARED_BYTES);
  if (!dynamicEnd) dynamicEnd = guarded(DYNAMIC_ROOM) + DYNAMIC_ROOM;
  if (dynamic > MOST_SHARED_BYTES) throw std::runtime_error(std::to_string(dynamic) + " bytes of dynamic shared memory");
  while (stacks.size() < count) stacks.push_back(guarded(STACK));
  Block current{};
  current.grid = grid;
  current.size = size;
  current.entry = entry;
  current.argument = argument;
  if (dynamic > 0) current.dynamic = dynamicEnd - (dynamic + SHARED_ALIGN - 1) / SHARED_ALIGN * SHARED_ALIGN;
  current.fibers.resize(count);
  current.warps.resize((count + WARP - 1) / WARP);
  const std::vector<int> order = orderOf(count, seed);
  block = &current;
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        current.index = {x, y, z};
        runBlock(order, seed == WARP_BY_WARP);
      }
}

}  // namespace fibers
