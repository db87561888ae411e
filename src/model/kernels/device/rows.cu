// Rows picked out of a matrix, and rows added into one; see ops/rows.rs.
#include "common.cuh"

// output[i] = input[indices[i]]
template <typename T, typename U, int N>
__device__ void take_rows(const T *input, const unsigned *indices, U *output, int width) {
    int start = (blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (start >= width) return;
    Pack<T, N> x = load<N>(input + size_t(indices[blockIdx.x]) * width + start);
    Pack<U, N> y;
#pragma unroll
    for (int i = 0; i < N; i++) y.values[i] = narrow<U>(widen(x.values[i]));
    store<N>(output + size_t(blockIdx.x) * width + start, y);
}

// output[row] = base[row] + the rows of `added` that belong there: those numbered items[begins[row]] up to items[begins[row + 1]].
// `base` may be null.
template <typename T, typename U, int N>
__device__ void add_rows(const T *base, const U *added, const unsigned *begins, const unsigned *items, T *output,
                         int width) {
    int start = (blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (start >= width) return;
    size_t row = blockIdx.x, at = row * width + start;
    float sums[N];
    if (base) {
        Pack<T, N> x = load<N>(base + at);
#pragma unroll
        for (int i = 0; i < N; i++) sums[i] = widen(x.values[i]);
    } else {
#pragma unroll
        for (int i = 0; i < N; i++) sums[i] = 0.0f;
    }
    for (unsigned item = begins[row]; item < begins[row + 1]; item++) {
        Pack<U, N> x = load<N>(added + size_t(items[item]) * width + start);
#pragma unroll
        for (int i = 0; i < N; i++) sums[i] += widen(x.values[i]);
    }
    Pack<T, N> y;
#pragma unroll
    for (int i = 0; i < N; i++) y.values[i] = narrow<T>(sums[i]);
    store<N>(output + at, y);
}

// output[to[i]] = input[from[i]]
template <typename T, int N>
__device__ void copy_rows(const T *input, const unsigned *from, const unsigned *to, T *output, int width) {
    int start = (blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (start >= width) return;
    size_t item = blockIdx.x;
    store<N>(output + size_t(to[item]) * width + start, load<N>(input + size_t(from[item]) * width + start));
}

// output = a + b
template <typename T, int N> __device__ void add(const T *a, const T *b, T *output, int count) {
    int start = (blockIdx.x * blockDim.x + threadIdx.x) * N;
    if (start >= count) return;
    Pack<T, N> x = load<N>(a + start), y = load<N>(b + start);
#pragma unroll
    for (int i = 0; i < N; i++) x.values[i] = narrow<T>(widen(x.values[i]) + widen(y.values[i]));
    store<N>(output + start, x);
}

#define DEFINE(T, U, N, type)                                                                                          \
    extern "C" __global__ void take_rows_##type(const T *input, const unsigned *indices, U *output, int width) {       \
        take_rows<T, U, N>(input, indices, output, width);                                                             \
    }                                                                                                                  \
    extern "C" __global__ void add_rows_##type(const T *base, const U *added, const unsigned *begins,                  \
                                               const unsigned *items, T *output, int width) {                          \
        add_rows<T, U, N>(base, added, begins, items, output, width);                                                  \
    }                                                                                                                  \
    KERNEL(take_rows_##type)                                                                                           \
    KERNEL(add_rows_##type)
#define SAME(T, N, type) DEFINE(T, T, N, type)
FOR_EACH_PACK(SAME)
// Packs of four f32 beside four narrower numbers.
DEFINE(bfloat16, float, 1, bf16x1_wide)
DEFINE(bfloat16, float, 4, bf16x4_wide)
DEFINE(float16, float, 1, f16x1_wide)
DEFINE(float16, float, 4, f16x4_wide)
#undef SAME
#undef DEFINE

#define DEFINE(T, N, type)                                                                                             \
    extern "C" __global__ void add_##type(const T *a, const T *b, T *output, int count) {                              \
        add<T, N>(a, b, output, count);                                                                                \
    }                                                                                                                  \
    extern "C" __global__ void copy_rows_##type(const T *input, const unsigned *from, const unsigned *to, T *output,   \
                                                int width) {                                                           \
        copy_rows<T, N>(input, from, to, output, width);                                                               \
    }                                                                                                                  \
    KERNEL(add_##type)                                                                                                 \
    KERNEL(copy_rows_##type)
FOR_EACH_PACK(DEFINE)
#undef DEFINE
