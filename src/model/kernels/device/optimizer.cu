// Clipping and AdamW over many tensors at once, in f32; see execute/optimizer.rs for the formulas.
#include "wide.cuh"

// Numbers of a tensor that one block takes.
#define STRETCH 4096

__device__ __forceinline__ bool is_finite(float value) {
    return fabsf(value) <= 3.402823466e+38f;
}

// The first number of this block's stretch of tensor blockIdx.y; numbers up to `end` are its own.
__device__ __forceinline__ unsigned stretch(const unsigned *counts, unsigned &end) {
    unsigned start = blockIdx.x * STRETCH;
    end = min(counts[blockIdx.y], start + STRETCH);
    return start + threadIdx.x;
}

// sums[i] += added[i]
extern "C" __global__ void add_all_f32(float *const *sums, const float *const *added, const unsigned *counts) {
    unsigned end;
    float *sum = sums[blockIdx.y];
    const float *more = added[blockIdx.y];
    for (unsigned at = stretch(counts, end); at < end; at += blockDim.x) sum[at] += more[at];
}
KERNEL(add_all_f32)

// The sum of squares of each stretch.
extern "C" __global__ void squares_f32(const float *const *gradients, const unsigned *counts, float *sums) {
    unsigned end;
    const float *gradient = gradients[blockIdx.y];
    float sum = 0.0f;
    for (unsigned at = stretch(counts, end); at < end; at += blockDim.x) sum += gradient[at] * gradient[at];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}
KERNEL(squares_f32)

// One block. The report: the losses, the sum of all squares, and what gradients are multiplied with, which is NaN where a loss or the sum
// is not finite.
extern "C" __global__ void report_f32(const float *sums, int count, const float *losses, int passes, float limit,
                                      float *report) {
    double squares = 0.0;
    for (int at = threadIdx.x; at < count; at += blockDim.x) squares += sums[at];
    squares = block_sum(squares);
    if (threadIdx.x != 0) return;
    bool sound = is_finite(float(squares));
    for (int pass = 0; pass < passes; pass++) {
        report[pass] = losses[pass];
        sound = sound && is_finite(losses[pass]);
    }
    report[passes] = float(squares);
    report[passes + 1] = sound ? float(min(1.0, limit / (sqrt(squares) + 1e-6))) : NAN;
}
KERNEL(report_f32)

// Moves parameters and moments, or nothing where the factor is NaN. `tensors` points to all parameters, then all gradients, all first
// moments, all second moments.
extern "C" __global__ void adamw_f32(float *const *tensors, const unsigned *counts, const unsigned *decays,
                                     const float *factor, float kept_first, float new_first, float kept_second,
                                     float new_second, float inverse_correction, float epsilon, float rate,
                                     float kept_value) {
    float scale = *factor;
    if (!is_finite(scale)) return;
    unsigned count = gridDim.y, number = blockIdx.y, end;
    float *value = tensors[number], *first = tensors[2 * count + number], *second = tensors[3 * count + number];
    const float *gradient = tensors[count + number];
    float kept = decays[number] ? kept_value : 1.0f;
    for (unsigned at = stretch(counts, end); at < end; at += blockDim.x) {
        float slope = gradient[at] * scale;
        float mean = first[at] * kept_first + slope * new_first;
        float square = second[at] * kept_second + slope * slope * new_second;
        first[at] = mean;
        second[at] = square;
        value[at] = value[at] * kept - mean / (sqrtf(square) * inverse_correction + epsilon) * rate;
    }
}
KERNEL(adamw_f32)
