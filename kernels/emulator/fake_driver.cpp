// A stand-in for libcuda.so: the part of the CUDA driver API that the backend uses through cudarc. It runs kernels on
// the CPU (scheduler.cpp), calls itself an emulator, and is for tests only. It checks more than a real driver:
//
// - Fresh memory is NaN.
// - Every allocation has a red zone on both sides, which is checked after every launch.
// - Pointer arguments must point into a live allocation.
// - The module's PTX must define each kernel with as many parameters as the source that runs here.
// - A block must fit the bounds in the PTX.
//
// Environment variables let tests choose the machine: CUDA_CPU_DEVICES (1), CUDA_CPU_MEMORY in bytes (4 GiB),
// CUDA_CPU_DRIVER_VERSION (12040), CUDA_CPU_ORDER (0 forward, 1 reverse, 2 shuffled). cuda_cpu_set_order overrides the
// order.
#include "cuda_cpu.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <string>

#define API extern "C" __attribute__((visibility("default"))) int

namespace {

using Pointer = unsigned long long;
enum Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_PTX = 218,
    UNSUPPORTED_PTX_VERSION = 222,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_OUT_OF_RESOURCES = 701,
    LAUNCH_FAILED = 719
};

constexpr int DRIVER_VERSION = 12040; // the least version that accepts the PTX of NVRTC 12.4
constexpr size_t RED_ZONE = 256;
constexpr unsigned MOST_THREADS = 1024;
constexpr int SHARED_MEMORY = 48 * 1024, MULTIPROCESSORS = 16;
// A signalling NaN. Arithmetic makes it quiet, so even a value that was read and written back differs from the pattern.
constexpr unsigned char RED[4] = {0xa1, 0xa1, 0xa1, 0x7f};

struct Allocation {
    size_t size;
    unsigned char* raw; // with the red zones
};
struct Module {
    std::string ptx;
};
struct Function {
    const cuda_cpu::Kernel* kernel;
    unsigned most_threads;
};
struct Event {
    std::chrono::steady_clock::time_point time;
};

std::recursive_mutex mutex;
using Lock = std::lock_guard<std::recursive_mutex>;
std::map<Pointer, Allocation> allocations;
std::set<Module*> modules;
std::map<std::string, Function> functions;
size_t allocated;
bool initialised, order_is_set;
cuda_cpu::Schedule schedule;
char a_context, a_stream;
thread_local void* current_context;
std::string last_fault = "error";

long variable(const char* name, long otherwise) {
    const char* text = getenv(name);
    return text ? atol(text) : otherwise;
}

int fail(Result result, const std::string& message) {
    last_fault = message;
    fprintf(stderr, "cuda-cpu-emulator: %s\n", message.c_str());
    return result;
}

unsigned char red_byte(const unsigned char* at) { return RED[reinterpret_cast<uintptr_t>(at) % 4]; }

bool is_red(const unsigned char* zone) {
    for (size_t i = 0; i < RED_ZONE; ++i)
        if (zone[i] != red_byte(zone + i)) return false;
    return true;
}

void paint(unsigned char* zone) {
    for (size_t i = 0; i < RED_ZONE; ++i) zone[i] = red_byte(zone + i);
}

bool is_inside(Pointer pointer, size_t bytes) {
    if (bytes == 0) return true;
    auto next = allocations.upper_bound(pointer);
    if (next == allocations.begin()) return false;
    const auto& [start, allocation] = *--next;
    return pointer + bytes <= start + allocation.size;
}

int check_red_zones(const char* kernel) {
    for (const auto& [start, allocation] : allocations) {
        const bool before = !is_red(allocation.raw), after = !is_red(allocation.raw + RED_ZONE + allocation.size);
        if (before || after)
            return fail(ILLEGAL_ADDRESS,
                        std::string(kernel) + " wrote " + (before ? "before" : "past") + " an allocation of " + std::to_string(allocation.size) + " bytes");
    }
    return SUCCESS;
}

// ".visible .entry NAME(", parameters, ")", directives, "{"
bool find_entry(const std::string& ptx, const std::string& name, unsigned& parameters, unsigned& most_threads) {
    const size_t entry = ptx.find(".entry " + name + "(");
    if (entry == std::string::npos) return false;
    const size_t end = ptx.find(')', entry), body = ptx.find('{', end);
    parameters = 0;
    for (size_t at = ptx.find(".param", entry); at < end; at = ptx.find(".param", at + 1)) ++parameters;
    most_threads = MOST_THREADS;
    const size_t bound = ptx.find(".maxntid", end);
    unsigned x, y, z;
    if (bound < body && sscanf(ptx.c_str() + bound, ".maxntid %u, %u, %u", &x, &y, &z) == 3) most_threads = x * y * z;
    return true;
}

} // namespace

bool cuda_cpu::is_live(const char* kernel, unsigned index, const void* pointer) {
    if (!pointer || is_inside(reinterpret_cast<Pointer>(pointer), 1)) return true;
    fprintf(stderr, "cuda-cpu-emulator: %s: argument %u (%p) points into no live allocation\n", kernel, index, pointer);
    return false;
}

extern "C" __attribute__((visibility("default"))) void cuda_cpu_set_order(int order, unsigned seed) {
    Lock lock(mutex);
    schedule = {static_cast<cuda_cpu::Order>(order), seed};
    order_is_set = true;
}

// Devices and contexts

API cuInit(unsigned) {
    initialised = true;
    return variable("CUDA_CPU_DEVICES", 1) > 0 ? SUCCESS : NO_DEVICE;
}
API cuDriverGetVersion(int* version) {
    *version = int(variable("CUDA_CPU_DRIVER_VERSION", DRIVER_VERSION));
    return SUCCESS;
}
API cuDeviceGetCount(int* count) {
    *count = int(variable("CUDA_CPU_DEVICES", 1));
    return initialised ? SUCCESS : NOT_INITIALIZED;
}
API cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return ordinal >= 0 && ordinal < variable("CUDA_CPU_DEVICES", 1) ? SUCCESS : INVALID_DEVICE;
}
API cuDeviceGetName(char* name, int length, int) {
    snprintf(name, size_t(length), "cuda-cpu-emulator (NOT A GPU)");
    return SUCCESS;
}
API cuDeviceTotalMem_v2(size_t* bytes, int) {
    *bytes = size_t(variable("CUDA_CPU_MEMORY", 1L << 32));
    return SUCCESS;
}
API cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
    case 1: *value = int(MOST_THREADS); break;
    case 8: *value = SHARED_MEMORY; break;
    case 10: *value = 32; break; // a warp
    case 16: *value = MULTIPROCESSORS; break;
    case 75: *value = 8; break; // compute capability 8.0
    default: *value = 0;        // memory pools and everything else: not supported
    }
    return SUCCESS;
}
API cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
    Lock lock(mutex);
    *total = size_t(variable("CUDA_CPU_MEMORY", 1L << 32));
    *free_bytes = *total - allocated;
    return SUCCESS;
}
API cuDevicePrimaryCtxRetain(void** context, int) {
    *context = &a_context;
    return SUCCESS;
}
API cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
API cuCtxSetCurrent(void* context) {
    current_context = context;
    return SUCCESS;
}
API cuCtxGetCurrent(void** context) {
    *context = current_context;
    return SUCCESS;
}
API cuCtxSynchronize() { return SUCCESS; }

// Streams and events: all work is done when a call returns

API cuStreamCreate(void** stream, unsigned) {
    *stream = &a_stream;
    return SUCCESS;
}
API cuStreamCreateWithPriority(void** stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
API cuStreamDestroy_v2(void*) { return SUCCESS; }
API cuStreamSynchronize(void*) { return SUCCESS; }
API cuStreamWaitEvent(void*, void*, unsigned) { return SUCCESS; }
API cuEventCreate(void** event, unsigned) {
    *event = new Event{};
    return SUCCESS;
}
API cuEventRecord(void* event, void*) {
    static_cast<Event*>(event)->time = std::chrono::steady_clock::now();
    return SUCCESS;
}
API cuEventSynchronize(void*) { return SUCCESS; }
API cuEventQuery(void*) { return SUCCESS; }
API cuEventElapsedTime(float* milliseconds, void* start, void* end) {
    const auto elapsed = static_cast<Event*>(end)->time - static_cast<Event*>(start)->time;
    *milliseconds = std::chrono::duration<float, std::milli>(elapsed).count();
    return SUCCESS;
}
API cuEventElapsedTime_v2(float* milliseconds, void* start, void* end) { return cuEventElapsedTime(milliseconds, start, end); }
API cuEventDestroy_v2(void* event) {
    delete static_cast<Event*>(event);
    return SUCCESS;
}

// Memory

API cuMemAlloc_v2(Pointer* pointer, size_t bytes) {
    Lock lock(mutex);
    if (bytes == 0) return fail(INVALID_VALUE, "an allocation of 0 bytes");
        // A test asks for this, so it is not reported as a fault.
    if (allocated + bytes > size_t(variable("CUDA_CPU_MEMORY", 1L << 32))) return OUT_OF_MEMORY;
    // Addresses divisible by 256, as on a device.
    auto* raw = static_cast<unsigned char*>(aligned_alloc(256, (bytes + 2 * RED_ZONE + 255) / 256 * 256));
    if (!raw) return OUT_OF_MEMORY;
    memset(raw + RED_ZONE, 0xff, bytes); // quiet NaN
    paint(raw);
    paint(raw + RED_ZONE + bytes);
    *pointer = reinterpret_cast<Pointer>(raw + RED_ZONE);
    allocations[*pointer] = {bytes, raw};
    allocated += bytes;
    return SUCCESS;
}
API cuMemAllocAsync(Pointer* pointer, size_t bytes, void*) { return cuMemAlloc_v2(pointer, bytes); }
API cuMemFree_v2(Pointer pointer) {
    Lock lock(mutex);
    auto found = allocations.find(pointer);
    if (found == allocations.end()) return pointer ? fail(INVALID_VALUE, "free of what was not allocated") : SUCCESS;
    allocated -= found->second.size;
    free(found->second.raw);
    allocations.erase(found);
    return SUCCESS;
}
API cuMemFreeAsync(Pointer pointer, void*) { return cuMemFree_v2(pointer); }
API cuMemsetD8_v2(Pointer pointer, unsigned char value, size_t bytes) {
    Lock lock(mutex);
    if (!is_inside(pointer, bytes)) return fail(INVALID_VALUE, "set outside an allocation");
    memset(reinterpret_cast<void*>(pointer), value, bytes);
    return SUCCESS;
}
API cuMemsetD8Async(Pointer pointer, unsigned char value, size_t bytes, void*) { return cuMemsetD8_v2(pointer, value, bytes); }
API cuMemcpyHtoD_v2(Pointer to, const void* from, size_t bytes) {
    Lock lock(mutex);
    if (!is_inside(to, bytes)) return fail(INVALID_VALUE, "copy to outside an allocation");
    memcpy(reinterpret_cast<void*>(to), from, bytes);
    return SUCCESS;
}
API cuMemcpyHtoDAsync_v2(Pointer to, const void* from, size_t bytes, void*) { return cuMemcpyHtoD_v2(to, from, bytes); }
API cuMemcpyDtoH_v2(void* to, Pointer from, size_t bytes) {
    Lock lock(mutex);
    if (!is_inside(from, bytes)) return fail(INVALID_VALUE, "copy from outside an allocation");
    memcpy(to, reinterpret_cast<void*>(from), bytes);
    return SUCCESS;
}
API cuMemcpyDtoHAsync_v2(void* to, Pointer from, size_t bytes, void*) { return cuMemcpyDtoH_v2(to, from, bytes); }
API cuMemcpyDtoD_v2(Pointer to, Pointer from, size_t bytes) {
    Lock lock(mutex);
    if (!is_inside(from, bytes) || !is_inside(to, bytes)) return fail(INVALID_VALUE, "device copy outside an allocation");
    memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
    return SUCCESS;
}
API cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t bytes, void*) { return cuMemcpyDtoD_v2(to, from, bytes); }

// Modules and launches

API cuModuleLoadData(void** module, const void* image) {
    Lock lock(mutex);
    std::string ptx(static_cast<const char*>(image));
    if (ptx.find(".version") == std::string::npos || ptx.find(".target") == std::string::npos) return fail(INVALID_PTX, "the module is no PTX text");
    if (variable("CUDA_CPU_DRIVER_VERSION", DRIVER_VERSION) < DRIVER_VERSION) return UNSUPPORTED_PTX_VERSION;
    auto* loaded = new Module{ptx};
    modules.insert(loaded);
    *module = loaded;
    return SUCCESS;
}
API cuModuleUnload(void* module) {
    Lock lock(mutex);
    if (modules.erase(static_cast<Module*>(module)) == 0) return INVALID_HANDLE;
    delete static_cast<Module*>(module);
    return SUCCESS;
}
API cuModuleGetFunction(void** function, void* module, const char* name) {
    Lock lock(mutex);
    if (!modules.count(static_cast<Module*>(module))) return INVALID_HANDLE;
    unsigned parameters, most_threads;
    if (!find_entry(static_cast<Module*>(module)->ptx, name, parameters, most_threads)) return NOT_FOUND;
    const cuda_cpu::Kernel* kernel = cuda_cpu::find_kernel(name);
    if (!kernel) return fail(NOT_FOUND, std::string(name) + " is in the PTX but not in emulator/kernels_all.cpp");
    if (kernel->parameters != parameters) return fail(INVALID_PTX, std::string(name) + ": the PTX has another number of parameters than the source: is it stale?");
    *function = &(functions[name] = {kernel, most_threads});
    return SUCCESS;
}
API cuFuncGetAttribute(int* value, int attribute, void* function) {
    *value = attribute == 0 ? int(static_cast<Function*>(function)->most_threads) : 0;
    return SUCCESS;
}
API cuFuncSetAttribute(void*, int, int) { return SUCCESS; }
API cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                   void*, void** arguments, void**) {
    Lock lock(mutex);
    const Function& launched = *static_cast<Function*>(function);
    const char* name = launched.kernel->name;
    if (block_x * block_y * block_z > launched.most_threads) return fail(LAUNCH_OUT_OF_RESOURCES, std::string(name) + ": a block larger than its launch bounds");
    if (shared != 0) return fail(INVALID_VALUE, std::string(name) + ": no kernel here has dynamic shared memory");
    if (!launched.kernel->pointers_are_live(name, arguments)) return fail(ILLEGAL_ADDRESS, std::string(name) + ": a pointer into no live allocation");
    if (!order_is_set) schedule.order = static_cast<cuda_cpu::Order>(variable("CUDA_CPU_ORDER", 0));
    const char* fault = cuda_cpu::launch(*launched.kernel, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, arguments, schedule);
    return fault ? fail(LAUNCH_FAILED, fault) : check_red_zones(name);
}

// Errors

API cuGetErrorName(int result, const char** name) {
    switch (result) {
    case SUCCESS: *name = "CUDA_SUCCESS"; break;
    case OUT_OF_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case NO_DEVICE: *name = "CUDA_ERROR_NO_DEVICE"; break;
    case INVALID_DEVICE: *name = "CUDA_ERROR_INVALID_DEVICE"; break;
    case UNSUPPORTED_PTX_VERSION: *name = "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"; break;
    case NOT_FOUND: *name = "CUDA_ERROR_NOT_FOUND"; break;
    case ILLEGAL_ADDRESS: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    case LAUNCH_FAILED: *name = "CUDA_ERROR_LAUNCH_FAILED"; break;
    default: *name = "CUDA_ERROR_UNKNOWN";
    }
    return SUCCESS;
}
API cuGetErrorString(int result, const char** text) {
    switch (result) {
    case OUT_OF_MEMORY: *text = "out of memory"; break;
    case NO_DEVICE: *text = "no CUDA-capable device is detected"; break;
    case INVALID_DEVICE: *text = "invalid device ordinal"; break;
    case UNSUPPORTED_PTX_VERSION: *text = "the provided PTX was compiled with an unsupported toolchain"; break;
    default: *text = last_fault.c_str();
    }
    return SUCCESS;
}
