// Runs kernels on the CPU, for tests: blocks one after another, the threads of a block as fibers that take turns at barriers.
//
// A barrier that not all threads reach ends the process with a message, and so does a launch with bad numbers of threads. Threads run in
// ascending or, with REFTC_EMULATION_ORDER=descending, in descending order between barriers: a missing barrier shows as a difference.
#pragma once
#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define __shared__ static thread_local
#define WARP 32

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};

// Half-precision numbers as bits; conversions round to the nearest, ties to even.
struct bfloat16 {
    uint16_t bits;
};
struct float16 {
    uint16_t bits;
};

inline float widen(bfloat16 value) {
    uint32_t bits = uint32_t(value.bits) << 16;
    float wide;
    std::memcpy(&wide, &bits, 4);
    return wide;
}

inline bfloat16 to_bfloat16(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (std::isnan(value)) return {uint16_t((bits >> 16) | 0x40)};
    return {uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

inline float widen(float16 value) {
    unsigned sign = value.bits >> 15, exponent = (value.bits >> 10) & 31, fraction = value.bits & 1023;
    float size = exponent == 31  ? (fraction ? NAN : INFINITY)
                 : exponent == 0 ? std::ldexp(float(fraction), -24)
                                 : std::ldexp(float(fraction + 1024), int(exponent) - 25);
    return sign ? -size : size;
}

inline float16 to_float16(float value) {
    unsigned sign = std::signbit(value) ? 0x8000 : 0;
    float size = std::fabs(value);
    if (std::isnan(value)) return {uint16_t(0x7e00)};
    if (size >= 65520.0f) return {uint16_t(sign | 0x7c00)};
    int exponent = size == 0 ? -24 : std::max(std::ilogb(size), -14);
    // In units of the last place; ldexp and nearbyint are exact here.
    unsigned steps = unsigned(std::nearbyint(std::ldexp(size, 10 - std::max(exponent, -14))));
    unsigned base = size < 6.103515625e-05f ? 0 : unsigned(exponent + 14) << 10;
    return {uint16_t(sign | (base + steps))};
}

inline float rsqrtf(float value) {
    return 1.0f / std::sqrt(value);
}
inline float __expf(float value) {
    return std::exp(value);
}
inline float __logf(float value) {
    return std::log(value);
}
inline float __fdividef(float a, float b) {
    return a / b;
}
using std::max;
using std::min;

namespace emulation {
enum class Waits { Nothing, Warp, Block, Done };

struct Fiber {
    ucontext_t start;
    jmp_buf state;
    std::vector<char> stack;
    Waits waits = Waits::Done;
    bool begun = false;
};

// What one thread of the CPU holds while it runs blocks.
struct Machine {
    std::vector<Fiber> fibers;
    std::vector<uint64_t> exchanged;
    std::vector<char> dynamic_shared;
    jmp_buf scheduler;
    ucontext_t entered;
    unsigned current = 0;
    dim3 block, block_index, grid;
    void (*body)(void *) = nullptr;
    void *closure = nullptr;
};

inline Machine &machine() {
    static thread_local Machine machine;
    return machine;
}

[[noreturn]] inline void fail(const char *message) {
    std::fprintf(stderr, "emulated kernel: %s\n", message);
    std::abort();
}

inline void wait(Waits waits) {
    Machine &all = machine();
    Fiber &fiber = all.fibers[all.current];
    fiber.waits = waits;
    if (_setjmp(fiber.state) == 0) _longjmp(all.scheduler, 1);
}

inline void entry() {
    Machine &all = machine();
    all.body(all.closure);
    machine().fibers[machine().current].waits = Waits::Done;
    _longjmp(machine().scheduler, 1);
}

inline void resume(unsigned index) {
    Machine &all = machine();
    all.current = index;
    if (_setjmp(all.scheduler) != 0) return;
    Fiber &fiber = machine().fibers[index];
    if (fiber.begun) _longjmp(fiber.state, 1);
    fiber.begun = true;
    setcontext(&fiber.start);
}

inline bool descending() {
    static const bool value = [] {
        const char *order = std::getenv("REFTC_EMULATION_ORDER");
        return order && std::string(order) == "descending";
    }();
    return value;
}

// Runs the threads of a warp up to their next barriers. Returns whether some can go on at once.
inline bool run_warp(unsigned first, unsigned end) {
    Machine &all = machine();
    unsigned waiting = 0;
    for (unsigned place = first; place < end; place++) {
        unsigned index = descending() ? end - 1 - (place - first) : place;
        if (all.fibers[index].waits == Waits::Nothing) resume(index);
        waiting += machine().fibers[index].waits == Waits::Warp;
    }
    if (waiting != end - first) return false;
    for (unsigned index = first; index < end; index++) all.fibers[index].waits = Waits::Nothing;
    return true;
}

// Runs all threads of the block that the machine is set to.
inline void run_block() {
    Machine &all = machine();
    unsigned threads = all.block.x * all.block.y * all.block.z;
    if (threads == 0 || threads > 1024) fail("a block needs 1 to 1024 threads");
    if (all.fibers.size() < threads) all.fibers.resize(threads);
    all.exchanged.resize(1024);
    for (unsigned index = 0; index < threads; index++) {
        Fiber &fiber = all.fibers[index];
        if (fiber.stack.empty()) fiber.stack.resize(256 << 10);
        fiber.waits = Waits::Nothing;
        fiber.begun = false;
        getcontext(&fiber.start);
        fiber.start.uc_stack.ss_sp = fiber.stack.data();
        fiber.start.uc_stack.ss_size = fiber.stack.size();
        fiber.start.uc_link = nullptr;
        makecontext(&fiber.start, entry, 0);
    }
    for (;;) {
        // A warp runs as far as it can before the next one begins: what should wait for a barrier and does not, shows.
        unsigned warps = (threads + WARP - 1) / WARP;
        for (unsigned place = 0; place < warps; place++) {
            unsigned first = (descending() ? warps - 1 - place : place) * WARP;
            while (run_warp(first, min(first + WARP, threads))) {
            }
        }
        unsigned done = 0, at_block = 0;
        for (unsigned index = 0; index < threads; index++) {
            done += all.fibers[index].waits == Waits::Done;
            at_block += all.fibers[index].waits == Waits::Block;
        }
        if (done == threads) return;
        if (at_block != threads) fail("threads wait at different barriers, or ended before one");
        for (unsigned index = 0; index < threads; index++) all.fibers[index].waits = Waits::Nothing;
    }
}

template <typename T> T exchange(T value, unsigned from) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most eight bytes");
    Machine &all = machine();
    unsigned first = all.current / WARP * WARP;
    std::memcpy(&all.exchanged[all.current], &value, sizeof(T));
    wait(Waits::Warp);
    T result;
    std::memcpy(&result, &machine().exchanged[first + from % WARP], sizeof(T));
    wait(Waits::Warp);
    return result;
}

inline dim3 thread_index() {
    Machine &all = machine();
    unsigned x = all.current % all.block.x, rest = all.current / all.block.x;
    return {x, rest % all.block.y, rest / all.block.y};
}

using Runner = void (*)(void **);

inline std::map<std::string, Runner> &kernels() {
    static std::map<std::string, Runner> kernels;
    return kernels;
}

template <typename... T, size_t... I>
void call(void (*kernel)(T...), void **arguments, std::index_sequence<I...>) {
    auto body = [&] { kernel(*static_cast<std::decay_t<T> *>(arguments[I])...); };
    Machine &all = machine();
    all.closure = &body;
    all.body = [](void *closure) { (*static_cast<decltype(body) *>(closure))(); };
    run_block();
}

template <typename... T> void call(void (*kernel)(T...), void **arguments) {
    call(kernel, arguments, std::index_sequence_for<T...>{});
}

struct Register {
    Register(const char *name, Runner runner) {
        kernels()[name] = runner;
    }
};
} // namespace emulation

#define threadIdx (emulation::thread_index())
#define blockIdx (emulation::machine().block_index)
#define blockDim (emulation::machine().block)
#define gridDim (emulation::machine().grid)

inline void __syncthreads() {
    emulation::wait(emulation::Waits::Block);
}
inline void __syncwarp(unsigned = ~0u) {
    emulation::wait(emulation::Waits::Warp);
}
template <typename T> T __shfl_xor_sync(unsigned, T value, int mask) {
    return emulation::exchange(value, (emulation::machine().current % WARP) ^ mask);
}
template <typename T> T __shfl_sync(unsigned, T value, int lane) {
    return emulation::exchange(value, lane);
}
template <typename T> T __shfl_down_sync(unsigned, T value, int delta) {
    unsigned lane = emulation::machine().current % WARP;
    return emulation::exchange(value, lane + delta < WARP ? lane + delta : lane);
}

// The shared memory whose size the launch names.
#define DYNAMIC_SHARED(name) char *name = emulation::machine().dynamic_shared.data()

// Makes a kernel known by its name.
#define KERNEL(name)                                                                                                   \
    static emulation::Register name##_registered(#name, [](void **arguments) { emulation::call(&name, arguments); });

// Runs one block of a kernel. Returns whether there is a kernel of this name.
extern "C" int reftc_emulate_block(const char *name, const unsigned *grid, const unsigned *block,
                                          const unsigned *block_index, unsigned shared, void **arguments) {
    auto found = emulation::kernels().find(name);
    if (found == emulation::kernels().end()) return 0;
    emulation::Machine &all = emulation::machine();
    all.grid = {grid[0], grid[1], grid[2]};
    all.block = {block[0], block[1], block[2]};
    all.block_index = {block_index[0], block_index[1], block_index[2]};
    all.dynamic_shared.assign(shared, char(0xff));
    found->second(arguments);
    return 1;
}
