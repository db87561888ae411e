// Masks of dropout, keyed as in intervention/random.rs: the same numbers as there.
#include "common.cuh"

__device__ __forceinline__ unsigned turn(unsigned value, int bits) {
    return (value << bits) | (value >> (32 - bits));
}

__device__ __forceinline__ void quarter_round(unsigned &a, unsigned &b, unsigned &c, unsigned &d) {
    a += b, d = turn(d ^ a, 16);
    c += d, b = turn(b ^ c, 12);
    a += b, d = turn(d ^ a, 8);
    c += d, b = turn(b ^ c, 7);
}

// Sixteen factors of one token a thread: one block of ChaCha with eight rounds (Bernstein 2008), its counter in words 12 and 13, the number
// of the stream in 14 and 15. `tokens` has for each token its row and its position in the row.
extern "C" __global__ void dropout_mask_f32(const unsigned *tokens, float *mask, int width, unsigned long long seed,
                                            unsigned long long purpose, unsigned long long site,
                                            unsigned long long threshold, float kept) {
    unsigned block = blockIdx.y * blockDim.x + threadIdx.x;
    if (int(block * 16) >= width) return;
    unsigned row = tokens[2 * blockIdx.x], position = tokens[2 * blockIdx.x + 1];
    const unsigned start[16] = {
        0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u, unsigned(seed), unsigned(seed >> 32), unsigned(purpose),
        unsigned(purpose >> 32), row, 0u, unsigned(site), unsigned(site >> 32), block, 0u, position, 0u,
    };
    unsigned x[16];
#pragma unroll
    for (int i = 0; i < 16; i++) x[i] = start[i];
    for (int round = 0; round < 8; round += 2) {
#pragma unroll
        for (int i = 0; i < 4; i++) quarter_round(x[i], x[4 + i], x[8 + i], x[12 + i]);
#pragma unroll
        for (int i = 0; i < 4; i++)
            quarter_round(x[i], x[4 + (i + 1) % 4], x[8 + (i + 2) % 4], x[12 + (i + 3) % 4]);
    }
    mask += size_t(blockIdx.x) * width + block * 16;
#pragma unroll
    for (int i = 0; i < 16; i++)
        if (int(block * 16) + i < width) mask[i] = (unsigned long long)(x[i] + start[i]) < threshold ? 0.0f : kept;
}
KERNEL(dropout_mask_f32)
