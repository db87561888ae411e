// Sums in f64.
#pragma once
#include "common.cuh"

__device__ __forceinline__ double warp_sum(double value) {
#pragma unroll
    for (int mask = WARP / 2; mask > 0; mask /= 2) value += __shfl_xor_sync(0xffffffffu, value, mask);
    return value;
}

// As that of floats: the same bits in all threads of the block, and each time.
__device__ __forceinline__ double block_sum(double value) {
    __shared__ double parts[WARP];
    value = warp_sum(value);
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = value;
    __syncthreads();
    double sum = 0.0;
    for (unsigned warp = 0; warp < blockDim.x / WARP; warp++) sum += parts[warp];
    // The next sum may write at once.
    __syncthreads();
    return sum;
}
