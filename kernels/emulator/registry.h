// Kernels by name. Arguments are passed as in the driver API: an array of pointers to the values.
#pragma once
#include <type_traits>
#include <utility>

struct dim3;

namespace cuda_cpu {

struct Kernel {
    const char* name;
    unsigned parameters;
    void (*call)(void** arguments);
    bool (*pointers_are_live)(const char* name, void** arguments);
    const Kernel* next;
};

// Null if no kernel has this name.
const Kernel* find_kernel(const char* name);

// Whether a kernel may get this pointer: null, or a pointer into a live allocation. The program that owns the memory
// defines this function.
bool is_live(const char* kernel, unsigned index, const void* pointer);

// A kernel's signature, taken from the function itself.
template <auto FUNCTION> struct Signature;
template <class... Parameters, void (*FUNCTION)(Parameters...)> struct Signature<FUNCTION> {
    static constexpr unsigned COUNT = sizeof...(Parameters);

    static void call(void** arguments) { call(arguments, std::index_sequence_for<Parameters...>{}); }

    static bool pointers_are_live(const char* name, void** arguments) {
        unsigned index = 0;
        bool all = true;
        ((all = argument_is_live<Parameters>(name, index, arguments[index]) && all, ++index), ...);
        return all;
    }

private:
    template <size_t... INDEX> static void call(void** arguments, std::index_sequence<INDEX...>) {
        FUNCTION(*static_cast<std::remove_reference_t<Parameters>*>(arguments[INDEX])...);
    }

    template <class T> static bool argument_is_live(const char* name, unsigned index, void* argument) {
        if constexpr (std::is_pointer_v<T>) return is_live(name, index, *static_cast<void* const*>(argument));
        else return true;
    }
};

// A static object of this type adds its kernel to the registry.
struct Registered {
    Kernel kernel;
    template <auto FUNCTION>
    Registered(const char* name, Signature<FUNCTION>) : kernel{name, Signature<FUNCTION>::COUNT, Signature<FUNCTION>::call, Signature<FUNCTION>::pointers_are_live, nullptr} {
        add();
    }

private:
    void add();
};

#define CUDA_CPU_KERNEL(name) static const cuda_cpu::Registered registered_##name(#name, cuda_cpu::Signature<&name>{});

// The order in which the blocks of a grid run, and the threads of a block between two barriers.
enum class Order { FORWARD, REVERSE, SHUFFLED };
struct Schedule {
    Order order = Order::FORWARD;
    unsigned seed = 1; // of SHUFFLED
};

// Runs every block of the grid, one after the other. Returns null, or a description of the first fault.
const char* launch(const Kernel& kernel, dim3 grid, dim3 block, void** arguments, Schedule schedule);

} // namespace cuda_cpu
