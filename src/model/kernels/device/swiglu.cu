// The gated activation, some columns of one token a block; see ops/swiglu.rs.
#include "common.cuh"

template <typename T, int N> __device__ void swiglu_forward(const T *gate_up, T *output, int inner) {
    int start = (blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (start >= inner) return;
    size_t row = blockIdx.x;
    const T *from = gate_up + row * 2 * inner + start;
    Pack<T, N> gate = load<N>(from), up = load<N>(from + inner), y;
#pragma unroll
    for (int i = 0; i < N; i++) {
        float g = widen(gate.values[i]);
        y.values[i] = narrow<T>(g * sigmoid(g) * widen(up.values[i]));
    }
    store<N>(output + row * inner + start, y);
}

template <typename T, int N>
__device__ void swiglu_backward(const T *gate_up, const T *gradient, T *output, int inner) {
    int start = (blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (start >= inner) return;
    size_t row = blockIdx.x, at = row * 2 * inner + start;
    Pack<T, N> gate = load<N>(gate_up + at), up = load<N>(gate_up + at + inner), gate_out, up_out;
    Pack<T, N> g = load<N>(gradient + row * inner + start);
#pragma unroll
    for (int i = 0; i < N; i++) {
        float x = widen(gate.values[i]), s = sigmoid(x), d = widen(g.values[i]);
        gate_out.values[i] = narrow<T>(d * widen(up.values[i]) * s * (1.0f + x * (1.0f - s)));
        up_out.values[i] = narrow<T>(d * x * s);
    }
    store<N>(output + at, gate_out);
    store<N>(output + at + inner, up_out);
}

#define DEFINE(T, N, type)                                                                                             \
    extern "C" __global__ void swiglu_forward_##type(const T *gate_up, T *output, int inner) {                         \
        swiglu_forward<T, N>(gate_up, output, inner);                                                                  \
    }                                                                                                                  \
    extern "C" __global__ void swiglu_backward_##type(const T *gate_up, const T *gradient, T *output, int inner) {     \
        swiglu_backward<T, N>(gate_up, gradient, output, inner);                                                       \
    }                                                                                                                  \
    KERNEL(swiglu_forward_##type)                                                                                      \
    KERNEL(swiglu_backward_##type)
FOR_EACH_PACK(DEFINE)
#undef DEFINE
