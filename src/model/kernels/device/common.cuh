// What all kernels share: number types, wide loads, sums over a block.
#pragma once

#ifdef REFTC_EMULATE
#include "emulation.hpp"
#else
#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <math_constants.h>

typedef __nv_bfloat16 bfloat16;
typedef __half float16;
#define WARP 32

__device__ __forceinline__ float widen(bfloat16 value) {
    return __bfloat162float(value);
}
__device__ __forceinline__ float widen(float16 value) {
    return __half2float(value);
}
__device__ __forceinline__ bfloat16 to_bfloat16(float value) {
    return __float2bfloat16_rn(value);
}
__device__ __forceinline__ float16 to_float16(float value) {
    return __float2half_rn(value);
}

// The shared memory whose size the launch names.
extern __shared__ __align__(16) char dynamic_shared[];
#define DYNAMIC_SHARED(name) char *name = dynamic_shared

// Only the emulation needs to be told of a kernel.
#define KERNEL(name)
#endif

__device__ __forceinline__ float widen(float value) {
    return value;
}

template <typename T> __device__ __forceinline__ T narrow(float value);
template <> __device__ __forceinline__ float narrow<float>(float value) {
    return value;
}
template <> __device__ __forceinline__ bfloat16 narrow<bfloat16>(float value) {
    return to_bfloat16(value);
}
template <> __device__ __forceinline__ float16 narrow<float16>(float value) {
    return to_float16(value);
}

// Several numbers that are moved as one.
template <typename T, int N> struct alignas(sizeof(T) * N) Pack {
    T values[N];
};

template <int N, typename T> __device__ __forceinline__ Pack<T, N> load(const T *from) {
    return *reinterpret_cast<const Pack<T, N> *>(from);
}

template <int N, typename T> __device__ __forceinline__ void store(T *to, const Pack<T, N> &pack) {
    *reinterpret_cast<Pack<T, N> *>(to) = pack;
}

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int mask = WARP / 2; mask > 0; mask /= 2) value += __shfl_xor_sync(0xffffffffu, value, mask);
    return value;
}

__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
    for (int mask = WARP / 2; mask > 0; mask /= 2) value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, mask));
    return value;
}

// The sum over the block, the same bits in all of its threads. Blocks are whole warps in one dimension.
__device__ __forceinline__ float block_sum(float value) {
    __shared__ float parts[WARP];
    value = warp_sum(value);
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = value;
    __syncthreads();
    float sum = 0.0f;
    for (unsigned warp = 0; warp < blockDim.x / WARP; warp++) sum += parts[warp];
    // The next sum may write at once.
    __syncthreads();
    return sum;
}

__device__ __forceinline__ float block_max(float value) {
    __shared__ float parts[WARP];
    value = warp_max(value);
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = value;
    __syncthreads();
    float highest = parts[0];
    for (unsigned warp = 1; warp < blockDim.x / WARP; warp++) highest = fmaxf(highest, parts[warp]);
    __syncthreads();
    return highest;
}

__device__ __forceinline__ float sigmoid(float x) {
    return 1.0f / (1.0f + __expf(-x));
}

// Names instances of a kernel: by the type of its numbers, and by how many of them move as one.
#define FOR_EACH_TYPE(DEFINE) DEFINE(float, f32) DEFINE(bfloat16, bf16) DEFINE(float16, f16)
#define FOR_EACH_PACK(DEFINE)                                                                                          \
    DEFINE(float, 1, f32x1) DEFINE(float, 4, f32x4) DEFINE(bfloat16, 1, bf16x1) DEFINE(bfloat16, 8, bf16x8)            \
    DEFINE(float16, 1, f16x1) DEFINE(float16, 8, f16x8)
