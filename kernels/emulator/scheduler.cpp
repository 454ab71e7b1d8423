// Runs a grid on one thread of the system, one block at a time. A CUDA thread is a fiber; fibers switch only at
// barriers and warp operations, so every run is the same. The scheduler reports a barrier that not all threads reach,
// two different barriers, warp operations whose lanes never meet, and wrong masks.
//
// With -DCUDA_CPU_ASAN or -DCUDA_CPU_TSAN it tells the sanitizer about its fibers. To the thread sanitizer every
// fiber is a thread. Only __syncthreads, __syncwarp and the start and end of a block order their accesses, so it
// detects races between the CUDA threads of a block. Shuffles order nothing, as on hardware. Compile this file without
// -fsanitize=thread: the scheduler itself must not be checked.
//
// A fiber is started with ucontext and then switched with _setjmp/_longjmp, which is ten times as fast. Sanitizers need
// ucontext throughout.
#include "cuda_cpu.h"

#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <numeric>
#include <random>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>
#if defined(CUDA_CPU_TSAN)
#include <sanitizer/tsan_interface.h>
#elif defined(CUDA_CPU_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif

#undef threadIdx
uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
// Bounds of the section of __shared__ arrays; null if no kernel has any.
extern "C" {
extern char __start_cuda_shared[] __attribute__((weak));
extern char __stop_cuda_shared[] __attribute__((weak));
}

namespace cuda_cpu {
namespace {

constexpr size_t STACK = 128 * 1024;
constexpr unsigned MOST_THREADS = 1024, MOST_BLOCKS_Y = 65535, WARP = 32;
constexpr int NOT_INITIALISED = 0xff; // bytes of a quiet NaN

enum class State { READY, AT_BARRIER, AT_WARP, DONE };

struct Fiber {
    ucontext_t context;
    jmp_buf jump;
    char* stack;
    bool started;
    State state;
    uint3 thread;
    unsigned index;
    unsigned barriers; // passed in this block
    Site site;         // of the barrier or warp operation that it waits at
    WarpOperation operation;
    unsigned mask, argument, width;
    uint64_t in, out;
    [[maybe_unused]] void *tsan, *fake_stack;
};

std::vector<Fiber*>& pool = *new std::vector<Fiber*>; // never destroyed, so the leak checker can reach it
Fiber* current;
unsigned threads; // in a block
const Kernel* running;
void** running_arguments;
char fault[512];
const Kernel* registry;
[[maybe_unused]] ucontext_t scheduler_context;
[[maybe_unused]] jmp_buf scheduler_jump;
[[maybe_unused]] void *scheduler_tsan, *scheduler_fake_stack;
[[maybe_unused]] const void* scheduler_stack;
[[maybe_unused]] size_t scheduler_stack_size;

// What the race detector takes as synchronisation. Each barrier has two tags in turn, so that a late reader does not
// see the arrivals at the next barrier.
char block_start, block_end, barrier_tag[2], warp_tag[MOST_THREADS / WARP][2];
unsigned warp_syncs[MOST_THREADS / WARP];
#if defined(CUDA_CPU_TSAN)
void release(void* tag) { __tsan_release(tag); }
void acquire(void* tag) { __tsan_acquire(tag); }
#else
void release(void*) {}
void acquire(void*) {}
#endif

__attribute__((format(printf, 1, 2))) void set_fault(const char* format, ...) {
    if (fault[0]) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault, sizeof fault, format, arguments);
    va_end(arguments);
}

void fiber_main();

void prepare(Fiber* fiber) {
    fiber->started = true;
    fiber->fake_stack = nullptr;
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, fiber_main, 0);
}

// Runs a fiber until it waits or ends.
__attribute__((noinline)) void resume(Fiber* fiber) {
    current = fiber;
    threadIdx = fiber->thread;
#if defined(CUDA_CPU_TSAN)
    if (!fiber->started) prepare(fiber);
    __tsan_switch_to_fiber(fiber->tsan, 1);
    swapcontext(&scheduler_context, &fiber->context);
#elif defined(CUDA_CPU_ASAN)
    if (!fiber->started) prepare(fiber);
    __sanitizer_start_switch_fiber(&scheduler_fake_stack, fiber->stack, STACK);
    swapcontext(&scheduler_context, &fiber->context);
    __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#else
    if (_setjmp(scheduler_jump) == 0) {
        if (fiber->started) _longjmp(fiber->jump, 1);
        prepare(fiber);
        setcontext(&fiber->context);
    }
#endif
}

__attribute__((noinline)) void yield() {
    Fiber* fiber = current;
#if defined(CUDA_CPU_TSAN)
    __tsan_switch_to_fiber(scheduler_tsan, 1);
    swapcontext(&fiber->context, &scheduler_context);
#elif defined(CUDA_CPU_ASAN)
    __sanitizer_start_switch_fiber(&fiber->fake_stack, scheduler_stack, scheduler_stack_size);
    swapcontext(&fiber->context, &scheduler_context);
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &scheduler_stack, &scheduler_stack_size);
#else
    if (_setjmp(fiber->jump) == 0) _longjmp(scheduler_jump, 1);
#endif
}

void fiber_main() {
#if defined(CUDA_CPU_ASAN)
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_size);
#endif
    for (;;) { // a fiber outlives its block: the next block resumes it here
        acquire(&block_start);
        running->call(running_arguments);
        release(&block_end);
        current->state = State::DONE;
        yield();
    }
}

// The lane from which this one takes its value.
unsigned source_lane(const Fiber& fiber, unsigned lane) {
    const unsigned segment = lane & ~(fiber.width - 1), end = segment + fiber.width;
    switch (fiber.operation) {
    case WarpOperation::BROADCAST: return segment + (fiber.argument & (fiber.width - 1));
    case WarpOperation::DOWN: return lane + fiber.argument >= end ? lane : lane + fiber.argument;
    case WarpOperation::XOR: return (lane ^ fiber.argument) >= end ? lane : lane ^ fiber.argument;
    case WarpOperation::SYNC: return lane;
    }
    return lane;
}

// Called when all lanes of the mask have arrived. Gives each lane its result.
void complete_warp(Fiber** lanes, unsigned count, unsigned mask) {
    for (unsigned lane = 0; lane < count; ++lane) {
        if (!(mask >> lane & 1)) continue;
        Fiber* fiber = lanes[lane];
        const unsigned source = source_lane(*fiber, lane);
        if (source < count && mask >> source & 1) {
            fiber->out = lanes[source]->in;
        } else {
            fiber->out = ~uint64_t(0);
            set_fault("%s: %s:%d: lane %u takes from lane %u, which is not in the mask %08x", running->name, fiber->site.file, fiber->site.line, lane, source, mask);
        }
    }
    for (unsigned lane = 0; lane < count; ++lane)
        if (mask >> lane & 1) lanes[lane]->state = State::READY;
}

// Called when no fiber can run. Opens the barrier if all fibers wait there; otherwise reports what is wrong.
void open_barrier_or_explain(uint64_t block) {
    const Fiber *at = nullptr, *elsewhere = nullptr, *in_warp = nullptr, *gone = nullptr;
    for (unsigned i = 0; i < threads; ++i) {
        const Fiber* fiber = pool[i];
        if (fiber->state == State::DONE) gone = fiber;
        else if (fiber->state == State::AT_WARP) in_warp = fiber;
        else if (!at) at = fiber;
        else if (fiber->site.line != at->site.line || fiber->site.file != at->site.file) elsewhere = fiber;
    }
    const unsigned long number = block;
    if (in_warp)
        set_fault("%s: block %lu: thread %u waits at %s:%d for lanes of its warp (mask %08x) that never arrive", running->name, number, in_warp->index,
                  in_warp->site.file, in_warp->site.line, in_warp->mask);
    else if (gone)
        set_fault("%s: block %lu: thread %u waits at __syncthreads (%s:%d), but thread %u has exited", running->name, number, at->index, at->site.file,
                  at->site.line, gone->index);
    else if (elsewhere)
        set_fault("%s: block %lu: threads %u and %u wait at different __syncthreads (%s:%d and %s:%d)", running->name, number, at->index, elsewhere->index,
                  at->site.file, at->site.line, elsewhere->site.file, elsewhere->site.line);
    else
        for (unsigned i = 0; i < threads; ++i) pool[i]->state = State::READY;
}

// Makes enough fibers for a block. If another thread of the system used them last, they start afresh.
void provide_fibers() {
    static thread_local char this_thread;
    static char* last_thread;
    if (last_thread != &this_thread)
        for (Fiber* fiber : pool) fiber->started = false;
    last_thread = &this_thread;
    while (pool.size() < threads) {
        Fiber* fiber = new Fiber{};
        void* stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stack == MAP_FAILED) {
            delete fiber;
            set_fault("%s: no memory for the stacks of %u threads", running->name, threads);
            return;
        }
        fiber->stack = static_cast<char*>(stack);
        pool.push_back(fiber);
    }
#if defined(CUDA_CPU_TSAN)
    scheduler_tsan = __tsan_get_current_fiber();
    for (unsigned i = 0; i < threads; ++i)
        if (!pool[i]->tsan) pool[i]->tsan = __tsan_create_fiber(0);
#endif
}

// Fibers that a fault stopped in the middle start afresh next time.
void abandon_fibers() {
    for (Fiber* fiber : pool) {
        fiber->started = false;
#if defined(CUDA_CPU_TSAN)
        if (fiber->tsan) __tsan_destroy_fiber(fiber->tsan);
        fiber->tsan = nullptr;
#endif
    }
}

void run_block(uint64_t block, std::vector<unsigned>& order, Schedule schedule, std::mt19937& random) {
    blockIdx = {unsigned(block % gridDim.x), unsigned(block / gridDim.x % gridDim.y), unsigned(block / gridDim.x / gridDim.y)};
#ifndef CUDA_CPU_ASAN
    if (__start_cuda_shared) memset(__start_cuda_shared, NOT_INITIALISED, size_t(__stop_cuda_shared - __start_cuda_shared));
#endif
    for (unsigned i = 0; i < threads; ++i) {
        Fiber* fiber = pool[i];
        fiber->index = i;
        fiber->state = State::READY;
        fiber->barriers = 0;
        fiber->thread = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
    }
    release(&block_start);
    for (unsigned left = threads; left > 0 && !fault[0];) {
        bool moved = false;
        if (schedule.order == Order::SHUFFLED) std::shuffle(order.begin(), order.end(), random);
        for (unsigned i : order)
            if (pool[i]->state == State::READY) {
                resume(pool[i]);
                moved = true;
                left -= pool[i]->state == State::DONE;
            }
        if (!moved) open_barrier_or_explain(block);
    }
    acquire(&block_end);
}

bool fits(const Kernel& kernel, dim3 grid, dim3 block) {
    threads = block.x * block.y * block.z;
    if (threads < 1 || threads > MOST_THREADS) set_fault("%s: a block of %u threads", kernel.name, threads);
    if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.y > MOST_BLOCKS_Y || grid.z > MOST_BLOCKS_Y)
        set_fault("%s: a grid of %u x %u x %u blocks", kernel.name, grid.x, grid.y, grid.z);
    return !fault[0];
}

} // namespace

#ifdef CUDA_CPU_TSAN
uint3 thread_index() { return current->thread; }
#endif

void Registered::add() {
    kernel.next = registry;
    registry = &kernel;
}

const Kernel* find_kernel(const char* name) {
    const Kernel* kernel = registry;
    while (kernel && strcmp(kernel->name, name) != 0) kernel = kernel->next;
    return kernel;
}

void sync_block(Site site) {
    Fiber* fiber = current;
    fiber->site = site;
    fiber->state = State::AT_BARRIER;
    void* tag = &barrier_tag[fiber->barriers++ % 2];
    release(tag);
    yield();
    acquire(tag);
}

uint64_t warp_operation(WarpOperation operation, unsigned mask, uint64_t value, unsigned argument, unsigned width, Site site) {
    Fiber* fiber = current;
    const unsigned warp = fiber->index / WARP, lane = fiber->index % WARP, count = std::min(WARP, threads - warp * WARP);
    if (count < WARP && mask == ~0u) mask = (1u << count) - 1; // the block's last, partial warp
    if (!(mask >> lane & 1)) set_fault("%s: %s:%d: lane %u is not in the mask %08x of its own warp operation", running->name, site.file, site.line, lane, mask);
    Fiber** lanes = &pool[warp * WARP];
    fiber->operation = operation;
    fiber->mask = mask;
    fiber->in = value;
    fiber->argument = argument;
    fiber->width = width;
    fiber->site = site;
    fiber->state = State::AT_WARP;
    const bool ordering = operation == WarpOperation::SYNC;
    void* tag = &warp_tag[warp][warp_syncs[warp] % 2];
    if (ordering) release(tag);
    bool all = true;
    for (unsigned l = 0; l < count; ++l)
        if (mask >> l & 1) all &= lanes[l]->state == State::AT_WARP && lanes[l]->mask == mask && lanes[l]->operation == operation;
    if (all) {
        complete_warp(lanes, count, mask);
        if (ordering) ++warp_syncs[warp];
    } else {
        yield();
    }
    if (ordering) acquire(tag);
    return fiber->out;
}

const char* launch(const Kernel& kernel, dim3 grid, dim3 block, void** arguments, Schedule schedule) {
    fault[0] = 0;
    if (!fits(kernel, grid, block)) return fault;
    running = &kernel;
    running_arguments = arguments;
    gridDim = grid;
    blockDim = block;
    provide_fibers();
    std::vector<unsigned> order(threads);
    std::vector<uint64_t> blocks(uint64_t(grid.x) * grid.y * grid.z);
    std::iota(order.begin(), order.end(), 0);
    std::iota(blocks.begin(), blocks.end(), 0);
    std::mt19937 random(schedule.seed);
    if (schedule.order == Order::REVERSE) {
        std::reverse(order.begin(), order.end());
        std::reverse(blocks.begin(), blocks.end());
    }
    if (schedule.order == Order::SHUFFLED) std::shuffle(blocks.begin(), blocks.end(), random);
    for (uint64_t number : blocks) {
        if (fault[0]) break;
        run_block(number, order, schedule, random);
    }
    if (!fault[0]) return nullptr;
    abandon_fibers();
    return fault;
}

} // namespace cuda_cpu
