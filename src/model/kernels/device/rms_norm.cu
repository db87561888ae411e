// Root-mean-square normalisation, one row a block; see ops/rms_norm.rs for the formulas.
#include "common.cuh"

template <typename T, int N>
__device__ void rms_norm_forward(const T *input, const float *weight, T *output, int width, float epsilon) {
    input += size_t(blockIdx.x) * width;
    output += size_t(blockIdx.x) * width;
    float squares = 0.0f;
    for (int start = threadIdx.x * N; start < width; start += blockDim.x * N) {
        Pack<T, N> x = load<N>(input + start);
#pragma unroll
        for (int i = 0; i < N; i++) squares += widen(x.values[i]) * widen(x.values[i]);
    }
    float inverse = rsqrtf(block_sum(squares) / width + epsilon);
    for (int start = threadIdx.x * N; start < width; start += blockDim.x * N) {
        Pack<T, N> x = load<N>(input + start), y;
        Pack<float, N> w = load<N>(weight + start);
#pragma unroll
        for (int i = 0; i < N; i++) y.values[i] = narrow<T>(widen(x.values[i]) * inverse * w.values[i]);
        store<N>(output + start, y);
    }
}

// `added` may be null; else it is added to the gradient.
template <typename T, int N>
__device__ void rms_norm_backward(const T *input, const float *weight, const T *gradient, const T *added, T *output,
                                  int width, float epsilon) {
    size_t row = size_t(blockIdx.x) * width;
    float squares = 0.0f, products = 0.0f;
    for (int start = threadIdx.x * N; start < width; start += blockDim.x * N) {
        Pack<T, N> x = load<N>(input + row + start), g = load<N>(gradient + row + start);
        Pack<float, N> w = load<N>(weight + start);
#pragma unroll
        for (int i = 0; i < N; i++) {
            float value = widen(x.values[i]);
            squares += value * value;
            products += value * widen(g.values[i]) * w.values[i];
        }
    }
    float inverse = rsqrtf(block_sum(squares) / width + epsilon);
    float along = block_sum(products) / width * inverse * inverse * inverse;
    for (int start = threadIdx.x * N; start < width; start += blockDim.x * N) {
        Pack<T, N> x = load<N>(input + row + start), g = load<N>(gradient + row + start), base, y;
        Pack<float, N> w = load<N>(weight + start);
        if (added) base = load<N>(added + row + start);
#pragma unroll
        for (int i = 0; i < N; i++) {
            float value = widen(g.values[i]) * w.values[i] * inverse - widen(x.values[i]) * along;
            y.values[i] = narrow<T>(added ? value + widen(base.values[i]) : value);
        }
        store<N>(output + row + start, y);
    }
}

#define DEFINE(T, N, type)                                                                                             \
    extern "C" __global__ void rms_norm_forward_##type(const T *input, const float *weight, T *output, int width,      \
                                                       float epsilon) {                                                \
        rms_norm_forward<T, N>(input, weight, output, width, epsilon);                                                 \
    }                                                                                                                  \
    extern "C" __global__ void rms_norm_backward_##type(const T *input, const float *weight, const T *gradient,        \
                                                        const T *added, T *output, int width, float epsilon) {         \
        rms_norm_backward<T, N>(input, weight, gradient, added, output, width, epsilon);                               \
    }                                                                                                                  \
    KERNEL(rms_norm_forward_##type)                                                                                    \
    KERNEL(rms_norm_backward_##type)
FOR_EACH_PACK(DEFINE)
#undef DEFINE
