// The map from X to R = base · H(X) · signs and its gradient, for many units of one shape at once, in f64; see
// intervention/rotations/by_kernels.rs for the formulas.
//
// A column passes through a product of reflections by itself: it has a block of its own and lies in shared memory, where each thread keeps
// to its own rows, so that only sums need barriers. Tall matrices are kept column after column.
#include "wide.cuh"

// The reflections of one unit: vectors, [rank, hidden], 0 above the diagonal; for each its scale and a sign.
template <typename T> struct Reflections {
    const T *vectors;
    const double *scales, *signs;
    int hidden;

    // Gives the product of the column, before it moves, with the vector.
    __device__ double reflect(double *column, int index) const {
        const T *vector = vectors + size_t(index) * hidden;
        double product = 0.0;
        for (int row = threadIdx.x; row < hidden; row += blockDim.x) product += column[row] * vector[row];
        product = block_sum(product);
        double amount = scales[index] * product;
        for (int row = threadIdx.x; row < hidden; row += blockDim.x) column[row] -= amount * vector[row];
        return product;
    }
};

__device__ Reflections<double> base_of(const double *base, int hidden, int rank) {
    const double *scales = base + size_t(rank) * hidden;
    return {base, scales, scales + rank, hidden};
}

__device__ Reflections<float> own_of(const float *vectors, const double *scales, int unit, int hidden, int rank) {
    scales += size_t(unit) * 2 * rank;
    return {vectors + size_t(unit) * rank * hidden, scales, scales + rank, hidden};
}

// Block (i, unit): the reflection that lies under the diagonal of column i of X, [hidden, rank], and the sign of the diagonal.
extern "C" __global__ void rotation_vectors_f32(const float *const *originals, float *vectors, double *scales, int hidden,
                                                int rank) {
    int index = blockIdx.x, unit = blockIdx.y;
    const float *original = originals[unit];
    vectors += (size_t(unit) * rank + index) * hidden;
    scales += size_t(unit) * 2 * rank;
    double squares = 0.0;
    for (int row = threadIdx.x; row < hidden; row += blockDim.x) {
        float value = row < index ? 0.0f : row == index ? 1.0f : original[size_t(row) * rank + index];
        vectors[row] = value;
        squares += double(value) * value;
    }
    squares = block_sum(squares);
    if (threadIdx.x != 0) return;
    scales[index] = 2.0 / squares;
    scales[rank + index] = original[size_t(index) * rank + index] < 0.0f ? -1.0 : 1.0;
}
KERNEL(rotation_vectors_f32)

// Block (c, unit): row c of A, and column c of R, which is row c of D; `directions` may be null.
extern "C" __global__ void rotation_forward_f32(const float *vectors, const double *scales, const double *const *bases,
                                                float *const *directions, double *products, int hidden, int rank) {
    DYNAMIC_SHARED(memory);
    double *column = reinterpret_cast<double *>(memory);
    int number = blockIdx.x, unit = blockIdx.y;
    Reflections<float> own = own_of(vectors, scales, unit, hidden, rank);
    Reflections<double> base = base_of(bases[unit], hidden, rank);
    products += (size_t(unit) * rank + number) * rank;
    for (int row = threadIdx.x; row < hidden; row += blockDim.x) column[row] = row == number ? 1.0 : 0.0;
    // Later reflections do not move a unit vector.
    for (int index = number + 1 + threadIdx.x; index < rank; index += blockDim.x) products[index] = 0.0;
    for (int index = number; index >= 0; index--) {
        double product = own.reflect(column, index);
        if (threadIdx.x == 0) products[index] = product;
    }
    if (!directions) return;
    for (int row = threadIdx.x; row < hidden; row += blockDim.x)
        column[row] *= (row < rank ? base.signs[row] : 1.0) * own.signs[number];
    for (int index = rank - 1; index >= 0; index--) {
        base.reflect(column, index);
    }
    float *output = directions[unit] + size_t(number) * hidden;
    for (int row = threadIdx.x; row < hidden; row += blockDim.x) output[row] = float(column[row]);
}
KERNEL(rotation_forward_f32)

// Block (c, unit): column c of G, the gradient of H(X), and row c of B.
extern "C" __global__ void rotation_carry_f32(const float *const *gradients, const float *vectors, const double *scales,
                                              const double *const *bases, double *carried, double *products, int hidden,
                                              int rank) {
    DYNAMIC_SHARED(memory);
    double *column = reinterpret_cast<double *>(memory);
    int number = blockIdx.x, unit = blockIdx.y;
    Reflections<float> own = own_of(vectors, scales, unit, hidden, rank);
    Reflections<double> base = base_of(bases[unit], hidden, rank);
    products += (size_t(unit) * rank + number) * rank;
    carried += (size_t(unit) * rank + number) * hidden;
    const float *gradient = gradients[unit] + size_t(number) * hidden;
    for (int row = threadIdx.x; row < hidden; row += blockDim.x) column[row] = gradient[row];
    for (int index = 0; index < rank; index++) {
        base.reflect(column, index);
    }
    for (int row = threadIdx.x; row < hidden; row += blockDim.x) {
        column[row] *= (row < rank ? base.signs[row] : 1.0) * own.signs[number];
        carried[row] = column[row];
    }
    for (int index = 0; index < rank; index++) {
        double product = own.reflect(column, index);
        if (threadIdx.x == 0) products[index] = product;
    }
}
KERNEL(rotation_carry_f32)

// Block (k, unit): row k of the symmetric W, W[k][i] = s_k s_i sum_c A[c][max(k, i)] B[c][min(k, i)].
extern "C" __global__ void rotation_mix_f32(const double *scales, const double *forward, const double *backward,
                                            double *mixed, int rank) {
    int row = blockIdx.x;
    size_t unit = blockIdx.y, matrix = unit * rank * rank;
    scales += unit * 2 * rank;
    for (int column = threadIdx.x; column < rank; column += blockDim.x) {
        double sum = 0.0;
        for (int number = 0; number < rank; number++) {
            size_t line = matrix + size_t(number) * rank;
            sum += forward[line + max(row, column)] * backward[line + min(row, column)];
        }
        mixed[matrix + size_t(row) * rank + column] = scales[row] * scales[column] * sum;
    }
}
KERNEL(rotation_mix_f32)

// Some rows of one unit a block: the gradient of X, [hidden, rank], V W - (G A + E B) S under the diagonal, else 0.
extern "C" __global__ void rotation_backward_f32(const float *vectors, const double *scales, const double *carried,
                                                 const double *forward, const double *backward, const double *mixed,
                                                 float *output, int hidden, int rank) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= hidden) return;
    size_t unit = blockIdx.y, matrix = unit * rank * rank;
    vectors += unit * rank * hidden + row;
    carried += unit * rank * hidden + row;
    scales += unit * 2 * rank;
    output += (unit * hidden + row) * rank;
    for (int column = 0; column < rank; column++) {
        double through = row < rank ? backward[matrix + size_t(row) * rank + column] : 0.0, across = 0.0;
        for (int number = 0; number < rank; number++) {
            size_t line = matrix + size_t(number) * rank + column;
            through += carried[size_t(number) * hidden] * forward[line];
            across += vectors[size_t(number) * hidden] * mixed[line];
        }
        output[column] = row > column ? float(across - scales[column] * through) : 0.0f;
    }
}
KERNEL(rotation_backward_f32)
