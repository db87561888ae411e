// Rotary position embedding, one token a block; see ops/rope.rs.
#include "common.cuh"

// Rotates the first `heads` heads of `2 * half` numbers and copies the rest of the row.
template <typename T, int N>
__device__ void rotate(const T *input, const float *cosine, const float *sine, T *output, int width, int heads,
                       int half, float sign) {
    size_t row = size_t(blockIdx.x) * width;
    cosine += size_t(blockIdx.x) * half;
    sine += size_t(blockIdx.x) * half;
    int packs = heads * half / N, rotated = heads * 2 * half;
    for (int pack = threadIdx.x; pack < packs; pack += blockDim.x) {
        int head = pack * N / half, at = pack * N % half;
        size_t first = row + head * 2 * half + at;
        Pack<T, N> x = load<N>(input + first), y = load<N>(input + first + half), x_out, y_out;
        Pack<float, N> cosines = load<N>(cosine + at), sines = load<N>(sine + at);
#pragma unroll
        for (int i = 0; i < N; i++) {
            float c = cosines.values[i], s = sign * sines.values[i], a = widen(x.values[i]), b = widen(y.values[i]);
            x_out.values[i] = narrow<T>(a * c - b * s);
            y_out.values[i] = narrow<T>(b * c + a * s);
        }
        store<N>(output + first, x_out);
        store<N>(output + first + half, y_out);
    }
    for (int at = rotated + threadIdx.x * N; at < width; at += blockDim.x * N)
        store<N>(output + row + at, load<N>(input + row + at));
}

#define DEFINE(T, N, type)                                                                                             \
    extern "C" __global__ void rope_##type(const T *input, const float *cosine, const float *sine, T *output,          \
                                           int width, int heads, int half, float sign) {                               \
        rotate<T, N>(input, cosine, sine, output, width, heads, half, sign);                                           \
    }                                                                                                                  \
    KERNEL(rope_##type)
FOR_EACH_PACK(DEFINE)
#undef DEFINE
