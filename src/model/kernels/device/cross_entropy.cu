// The loss of next-token prediction, one row of logits a block; see ops/cross_entropy.rs.
#include "common.cuh"

// Writes the loss, and over the logits, where wanted, the gradient: softmax - one-hot(target).
template <typename T, int N>
__device__ void cross_entropy(T *logits, const unsigned *targets, float *losses, int vocabulary, int gradient_wanted) {
    logits += size_t(blockIdx.x) * vocabulary;
    unsigned target = targets[blockIdx.x];
    // Each thread keeps a sum relative to the highest that it has seen.
    float highest = -INFINITY, sum = 0.0f;
    for (int start = threadIdx.x * N; start < vocabulary; start += blockDim.x * N) {
        Pack<T, N> x = load<N>(logits + start);
        float local = widen(x.values[0]);
#pragma unroll
        for (int i = 1; i < N; i++) local = fmaxf(local, widen(x.values[i]));
        if (local > highest) {
            sum *= __expf(highest - local);
            highest = local;
        }
#pragma unroll
        for (int i = 0; i < N; i++) sum += __expf(widen(x.values[i]) - highest);
    }
    float peak = block_max(highest);
    sum = block_sum(highest == -INFINITY ? 0.0f : sum * __expf(highest - peak));
    if (threadIdx.x == 0)
        losses[blockIdx.x] = target < unsigned(vocabulary) ? logf(sum) - (widen(logits[target]) - peak) : NAN;
    if (!gradient_wanted) return;
    // The logit of the target has been read before it is written over.
    __syncthreads();
    float inverse = 1.0f / sum;
    for (int start = threadIdx.x * N; start < vocabulary; start += blockDim.x * N) {
        Pack<T, N> x = load<N>(logits + start);
#pragma unroll
        for (int i = 0; i < N; i++) {
            float share = __expf(widen(x.values[i]) - peak) * inverse;
            x.values[i] = narrow<T>(unsigned(start + i) == target ? share - 1.0f : share);
        }
        store<N>(logits + start, x);
    }
}

#define DEFINE(T, N, type)                                                                                             \
    extern "C" __global__ void cross_entropy_##type(T *logits, const unsigned *targets, float *losses, int vocabulary, \
                                                    int gradient_wanted) {                                             \
        cross_entropy<T, N>(logits, targets, losses, vocabulary, gradient_wanted);                                     \
    }                                                                                                                  \
    KERNEL(cross_entropy_##type)
FOR_EACH_PACK(DEFINE)
#undef DEFINE
