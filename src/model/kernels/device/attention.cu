// Causal grouped-query attention over branches, forward and backward, without a matrix of scores in memory; see ops/attention/tiles.rs for
// the lists of tiles, branches, queries and keys, and ops/attention/portable.rs for the formulas.
//
// A block has four warps and works on tiles of 32 rows by 32 keys. A row is a query of one head; the heads of a group follow each other, so
// that keys are read once for all of them. Tiles lie in shared memory in f32. Of the product of two tiles a warp owns eight rows, a lane one
// column; of what is summed up along it, a lane owns every 32nd column. All sums run in the order of rows, keys and branches: the bits are the
// same each time, and do not depend on other branches.
//
// Dynamic shared memory is (tiles · 32 · (columns + 4) + 1024) · 4 bytes: 38 KiB forward and 72 KiB backward for heads of 128 numbers.
#include "common.cuh"

#define SIDE 32
#define OWN 8
#define PAST 0x80000000u

// A tile of rows in shared memory. The pitch keeps rows of neighbouring lanes in different banks.
template <int COLUMNS> struct Pitch {
    static const int VALUE = COLUMNS + 4;
};

// One row of a list of six numbers.
struct Branch {
    int keys, key_count, queries, query_count, first_tile, tiles;
};
struct Tile {
    int branch, first_row, fresh_begin, fresh_end, past_begin, past_end;

    __device__ bool sees(int begin, int end) const {
        return (begin < fresh_end && end > fresh_begin) || (begin < past_end && end > past_begin);
    }
};
// The packed index of a query, and the keys of its branch that it sees.
struct Query {
    int token, fresh_begin, fresh_end, past_begin, past_end;

    __device__ bool sees(int key) const {
        return (key >= fresh_begin && key < fresh_end) || (key >= past_begin && key < past_end);
    }
};

// What all kernels here get.
template <typename T> struct Attention {
    const T *projected, *past;
    const Tile *tiles;
    const Branch *branches;
    const Query *queries;
    const unsigned *keys;
    int heads, key_heads, head_dim;
    float scale;

    __device__ int group() const {
        return heads / key_heads;
    }
    __device__ size_t width() const {
        return size_t(heads + 2 * key_heads) * head_dim;
    }
    // The key of a line for a key head; its value follows at `value_offset`.
    __device__ const T *key(unsigned line, int key_head) const {
        if (line & PAST) return past + size_t(line & ~PAST) * 2 * key_heads * head_dim + size_t(key_head) * head_dim;
        return projected + line * width() + size_t(heads + key_head) * head_dim;
    }
    __device__ size_t value_offset() const {
        return size_t(key_heads) * head_dim;
    }
};

// Copies rows into a tile, scaled; null stands for zeros, and so do the columns behind the head.
template <typename T, int COLUMNS>
__device__ void fill(float *tile, const T *const *rows, size_t offset, int head_dim, float scale) {
    const int packs = COLUMNS / 4;
    for (int at = threadIdx.x; at < SIDE * packs; at += blockDim.x) {
        int row = at / packs, column = at % packs * 4;
        const T *from = rows[row];
        float values[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        if (from && head_dim % 4 == 0) {
            if (column < head_dim) {
                Pack<T, 4> pack = load<4>(from + offset + column);
#pragma unroll
                for (int i = 0; i < 4; i++) values[i] = widen(pack.values[i]) * scale;
            }
        } else if (from) {
            for (int i = 0; i < 4; i++)
                if (column + i < head_dim) values[i] = widen(from[offset + column + i]) * scale;
        }
        *reinterpret_cast<float4 *>(tile + row * Pitch<COLUMNS>::VALUE + column) = {values[0], values[1], values[2],
                                                                                   values[3]};
    }
}

// The products of the warp's rows of one tile with the lane's row of the other.
template <int COLUMNS> __device__ void products(const float *left, const float *right, float (&output)[OWN]) {
    const int pitch = Pitch<COLUMNS>::VALUE;
    left += threadIdx.x / WARP * OWN * pitch;
    right += threadIdx.x % WARP * pitch;
#pragma unroll
    for (int row = 0; row < OWN; row++) output[row] = 0.0f;
#pragma unroll 4
    for (int column = 0; column < COLUMNS; column += 4) {
        float4 b = *reinterpret_cast<const float4 *>(right + column);
#pragma unroll
        for (int row = 0; row < OWN; row++) {
            float4 a = *reinterpret_cast<const float4 *>(left + row * pitch + column);
            output[row] = fmaf(a.x, b.x, fmaf(a.y, b.y, fmaf(a.z, b.z, fmaf(a.w, b.w, output[row]))));
        }
    }
}

// Adds to the warp's rows: their weights, [OWN, SIDE], times a tile.
template <int COLUMNS>
__device__ void accumulate(const float *weights, const float *tile, float (&sums)[OWN][COLUMNS / WARP]) {
    const int pitch = Pitch<COLUMNS>::VALUE, parts = COLUMNS / WARP;
    tile += threadIdx.x % WARP;
#pragma unroll 2
    for (int key = 0; key < SIDE; key += 4) {
        float values[4][parts];
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int part = 0; part < parts; part++) values[i][part] = tile[(key + i) * pitch + part * WARP];
#pragma unroll
        for (int row = 0; row < OWN; row++) {
            float4 w = *reinterpret_cast<const float4 *>(weights + row * SIDE + key);
#pragma unroll
            for (int part = 0; part < parts; part++) {
                float sum = fmaf(w.x, values[0][part], sums[row][part]);
                sum = fmaf(w.y, values[1][part], sum);
                sum = fmaf(w.z, values[2][part], sum);
                sums[row][part] = fmaf(w.w, values[3][part], sum);
            }
        }
    }
}

template <int COLUMNS> __device__ void clear(float (&sums)[OWN][COLUMNS / WARP]) {
#pragma unroll
    for (int row = 0; row < OWN; row++)
#pragma unroll
        for (int part = 0; part < COLUMNS / WARP; part++) sums[row][part] = 0.0f;
}

// Writes one row that the lanes of a warp hold in parts.
template <typename T, int COLUMNS>
__device__ void write(T *output, const float (&parts)[COLUMNS / WARP], float scale, int head_dim) {
#pragma unroll
    for (int part = 0; part < COLUMNS / WARP; part++) {
        int column = part * WARP + threadIdx.x % WARP;
        if (column < head_dim) output[column] = narrow<T>(parts[part] * scale);
    }
}

// Rows of a tile of queries: where they are, and what they see.
template <typename T> struct RowTile {
    const T *sources[SIDE];
    Query queries[SIDE];
    // The number of the query among all, or -1.
    int numbers[SIDE];

    // By the first 32 threads.
    __device__ void set(const Attention<T> &all, const Tile &tile, int key_head) {
        if (threadIdx.x >= SIDE) return;
        Branch branch = all.branches[tile.branch];
        int row = tile.first_row + threadIdx.x, query = row / all.group();
        bool there = query < branch.query_count;
        numbers[threadIdx.x] = there ? branch.queries + query : -1;
        if (there) queries[threadIdx.x] = all.queries[branch.queries + query];
        else queries[threadIdx.x] = Query{0, 0, 0, 0, 0};
        size_t head = key_head * all.group() + row % all.group();
        sources[threadIdx.x] =
            there ? all.projected + queries[threadIdx.x].token * all.width() + head * all.head_dim : nullptr;
    }

    // The head of a row.
    __device__ static int head(const Attention<T> &all, const Tile &tile, int key_head, int row) {
        return key_head * all.group() + (tile.first_row + row) % all.group();
    }
};

template <typename T> __device__ void set_keys(const T **sources, const Attention<T> &all, int first, int key_head,
                                               const Branch &branch) {
    if (threadIdx.x >= SIDE) return;
    int key = first + threadIdx.x;
    sources[threadIdx.x] = key < branch.key_count ? all.key(all.keys[branch.keys + key], key_head) : nullptr;
}

// Block (tile, key head).
template <typename T, int COLUMNS> __device__ void attention_forward(const Attention<T> &all, T *output) {
    DYNAMIC_SHARED(memory);
    const int size = SIDE * Pitch<COLUMNS>::VALUE, parts = COLUMNS / WARP;
    float *query_tile = reinterpret_cast<float *>(memory), *key_tile = query_tile + size, *weights = key_tile + size;
    __shared__ RowTile<T> rows;
    __shared__ const T *key_sources[SIDE];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, key_head = blockIdx.y;
    Tile tile = all.tiles[blockIdx.x];
    Branch branch = all.branches[tile.branch];
    weights += warp * OWN * SIDE;
    rows.set(all, tile, key_head);
    __syncthreads();
    fill<T, COLUMNS>(query_tile, rows.sources, 0, all.head_dim, all.scale);

    float highest[OWN], sums[OWN], mixed[OWN][parts], scores[OWN];
    clear<COLUMNS>(mixed);
#pragma unroll
    for (int row = 0; row < OWN; row++) highest[row] = -INFINITY, sums[row] = 0.0f;
    for (int first = 0; first < branch.key_count; first += SIDE) {
        if (!tile.sees(first, first + SIDE)) continue;
        __syncthreads();
        set_keys(key_sources, all, first, key_head, branch);
        __syncthreads();
        fill<T, COLUMNS>(key_tile, key_sources, 0, all.head_dim, 1.0f);
        __syncthreads();
        products<COLUMNS>(query_tile, key_tile, scores);
        __syncthreads();
        fill<T, COLUMNS>(key_tile, key_sources, all.value_offset(), all.head_dim, 1.0f);
#pragma unroll
        for (int row = 0; row < OWN; row++) {
            float score = rows.queries[warp * OWN + row].sees(first + lane) ? scores[row] : -INFINITY;
            float higher = fmaxf(highest[row], warp_max(score));
            // A row that has seen nothing yet stays as it is.
            float kept = higher == -INFINITY ? 1.0f : expf(highest[row] - higher);
            float weight = score == -INFINITY ? 0.0f : expf(score - higher);
            sums[row] = sums[row] * kept + warp_sum(weight);
            highest[row] = higher;
#pragma unroll
            for (int part = 0; part < parts; part++) mixed[row][part] *= kept;
            weights[row * SIDE + lane] = weight;
        }
        __syncthreads();
        accumulate<COLUMNS>(weights, key_tile, mixed);
    }
#pragma unroll
    for (int row = 0; row < OWN; row++) {
        int number = rows.numbers[warp * OWN + row];
        if (number < 0) continue;
        size_t head = rows.head(all, tile, key_head, warp * OWN + row);
        write<T, COLUMNS>(output + (size_t(number) * all.heads + head) * all.head_dim, mixed[row], 1.0f / sums[row],
                          all.head_dim);
    }
}

// Block (tile, key head): the gradient of the queries, and for each row what turns scores into shares, and the mean of their gradients.
template <typename T, int COLUMNS>
__device__ void attention_queries(const Attention<T> &all, const T *gradient, T *output, float *statistics) {
    DYNAMIC_SHARED(memory);
    const int size = SIDE * Pitch<COLUMNS>::VALUE, parts = COLUMNS / WARP;
    float *query_tile = reinterpret_cast<float *>(memory), *gradient_tile = query_tile + size;
    float *key_tile = gradient_tile + size, *value_tile = key_tile + size, *weights = value_tile + size;
    __shared__ RowTile<T> rows;
    __shared__ const T *key_sources[SIDE], *gradient_sources[SIDE];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, key_head = blockIdx.y;
    Tile tile = all.tiles[blockIdx.x];
    Branch branch = all.branches[tile.branch];
    weights += warp * OWN * SIDE;
    rows.set(all, tile, key_head);
    if (threadIdx.x < SIDE) {
        int number = rows.numbers[threadIdx.x];
        size_t head = rows.head(all, tile, key_head, threadIdx.x);
        gradient_sources[threadIdx.x] =
            number < 0 ? nullptr : gradient + (size_t(number) * all.heads + head) * all.head_dim;
    }
    __syncthreads();
    fill<T, COLUMNS>(query_tile, rows.sources, 0, all.head_dim, all.scale);
    fill<T, COLUMNS>(gradient_tile, gradient_sources, 0, all.head_dim, 1.0f);

    float highest[OWN], sums[OWN], means[OWN], moved[OWN][parts], scores[OWN], slopes[OWN];
    clear<COLUMNS>(moved);
#pragma unroll
    for (int row = 0; row < OWN; row++) highest[row] = -INFINITY, sums[row] = 0.0f, means[row] = 0.0f;
    // First the statistics, then with them the gradient.
    for (int round = 0; round < 2; round++) {
        for (int first = 0; first < branch.key_count; first += SIDE) {
            if (!tile.sees(first, first + SIDE)) continue;
            __syncthreads();
            set_keys(key_sources, all, first, key_head, branch);
            __syncthreads();
            fill<T, COLUMNS>(key_tile, key_sources, 0, all.head_dim, 1.0f);
            fill<T, COLUMNS>(value_tile, key_sources, all.value_offset(), all.head_dim, 1.0f);
            __syncthreads();
            products<COLUMNS>(query_tile, key_tile, scores);
            products<COLUMNS>(gradient_tile, value_tile, slopes);
#pragma unroll
            for (int row = 0; row < OWN; row++) {
                bool seen = rows.queries[warp * OWN + row].sees(first + lane);
                if (round == 0) {
                    float score = seen ? scores[row] : -INFINITY;
                    float higher = fmaxf(highest[row], warp_max(score));
                    float kept = higher == -INFINITY ? 1.0f : expf(highest[row] - higher);
                    float weight = seen ? expf(score - higher) : 0.0f;
                    sums[row] = sums[row] * kept + warp_sum(weight);
                    means[row] = means[row] * kept + warp_sum(weight * slopes[row]);
                    highest[row] = higher;
                } else {
                    float share = seen ? expf(scores[row] - highest[row]) : 0.0f;
                    weights[row * SIDE + lane] = share * (slopes[row] - means[row]);
                }
            }
            if (round == 0) continue;
            __syncwarp();
            accumulate<COLUMNS>(weights, key_tile, moved);
        }
        if (round == 1) break;
#pragma unroll
        for (int row = 0; row < OWN; row++) {
            // From here on: the share of a key is e^(score - highest).
            means[row] = sums[row] > 0.0f ? means[row] / sums[row] : 0.0f;
            highest[row] += logf(sums[row]);
        }
    }
#pragma unroll
    for (int row = 0; row < OWN; row++) {
        int number = rows.numbers[warp * OWN + row];
        if (number < 0) continue;
        size_t head = rows.head(all, tile, key_head, warp * OWN + row);
        T *to = output + rows.queries[warp * OWN + row].token * all.width() + head * all.head_dim;
        write<T, COLUMNS>(to, moved[row], all.scale, all.head_dim);
        if (lane == 0) {
            statistics[(size_t(number) * all.heads + head) * 2] = highest[row];
            statistics[(size_t(number) * all.heads + head) * 2 + 1] = means[row];
        }
    }
}

// Block (stretch of 32 tokens, key head): the gradients of their keys and values, from all branches that see them, in their order.
// `entries` has for each such branch its number and the bounds of its keys among these tokens; `members` the key that each token is, or -1.
template <typename T, int COLUMNS>
__device__ void attention_keys(const Attention<T> &all, const T *gradient, const float *statistics,
                               const unsigned *begins, const int *entries, const int *members, T *output, int tokens) {
    DYNAMIC_SHARED(memory);
    const int size = SIDE * Pitch<COLUMNS>::VALUE, parts = COLUMNS / WARP;
    float *query_tile = reinterpret_cast<float *>(memory), *gradient_tile = query_tile + size;
    float *key_tile = gradient_tile + size, *value_tile = key_tile + size, *weights = value_tile + size;
    __shared__ RowTile<T> rows;
    __shared__ const T *key_sources[SIDE], *gradient_sources[SIDE];
    __shared__ float shifts[SIDE], means[SIDE];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, key_head = blockIdx.y, first = blockIdx.x * SIDE;
    weights += warp * OWN * SIDE;
    if (threadIdx.x < SIDE)
        key_sources[threadIdx.x] =
            first + int(threadIdx.x) < tokens ? all.key(first + threadIdx.x, key_head) : nullptr;
    __syncthreads();
    fill<T, COLUMNS>(key_tile, key_sources, 0, all.head_dim, 1.0f);
    fill<T, COLUMNS>(value_tile, key_sources, all.value_offset(), all.head_dim, 1.0f);

    float of_keys[OWN][parts], of_values[OWN][parts], scores[OWN], slopes[OWN];
    clear<COLUMNS>(of_keys);
    clear<COLUMNS>(of_values);
    for (unsigned entry = begins[blockIdx.x]; entry < begins[blockIdx.x + 1]; entry++) {
        Branch branch = all.branches[entries[entry * 3]];
        int lowest = entries[entry * 3 + 1], end = entries[entry * 3 + 2];
        const int *own = members + size_t(entry) * SIDE + warp * OWN;
        for (int number = branch.first_tile; number < branch.first_tile + branch.tiles; number++) {
            Tile tile = all.tiles[number];
            if (!tile.sees(lowest, end)) continue;
            __syncthreads();
            rows.set(all, tile, key_head);
            if (threadIdx.x < SIDE) {
                int query = rows.numbers[threadIdx.x];
                size_t place = size_t(max(query, 0)) * all.heads + rows.head(all, tile, key_head, threadIdx.x);
                gradient_sources[threadIdx.x] = query < 0 ? nullptr : gradient + place * all.head_dim;
                shifts[threadIdx.x] = query < 0 ? 0.0f : statistics[place * 2];
                means[threadIdx.x] = query < 0 ? 0.0f : statistics[place * 2 + 1];
            }
            __syncthreads();
            fill<T, COLUMNS>(query_tile, rows.sources, 0, all.head_dim, all.scale);
            fill<T, COLUMNS>(gradient_tile, gradient_sources, 0, all.head_dim, 1.0f);
            __syncthreads();
            products<COLUMNS>(key_tile, query_tile, scores);
            products<COLUMNS>(value_tile, gradient_tile, slopes);
#pragma unroll
            for (int key = 0; key < OWN; key++) {
                bool seen = own[key] >= 0 && rows.queries[lane].sees(own[key]);
                scores[key] = seen ? expf(scores[key] - shifts[lane]) : 0.0f;
                weights[key * SIDE + lane] = scores[key];
            }
            __syncwarp();
            accumulate<COLUMNS>(weights, gradient_tile, of_values);
            __syncwarp();
#pragma unroll
            for (int key = 0; key < OWN; key++) weights[key * SIDE + lane] = scores[key] * (slopes[key] - means[lane]);
            __syncwarp();
            accumulate<COLUMNS>(weights, query_tile, of_keys);
        }
    }
#pragma unroll
    for (int key = 0; key < OWN; key++) {
        int token = first + warp * OWN + key;
        if (token >= tokens) continue;
        T *to = output + token * all.width() + size_t(all.heads + key_head) * all.head_dim;
        write<T, COLUMNS>(to, of_keys[key], 1.0f, all.head_dim);
        write<T, COLUMNS>(to + all.value_offset(), of_values[key], 1.0f, all.head_dim);
    }
}

#define SHARED_PARAMETERS(T)                                                                                           \
    const T *projected, const T *past, const Tile *tiles, const Branch *branches, const Query *queries,                \
        const unsigned *keys, int heads, int key_heads, int head_dim, float scale
#define SHARED_ARGUMENTS {projected, past, tiles, branches, queries, keys, heads, key_heads, head_dim, scale}
#define DEFINE(T, type, COLUMNS)                                                                                       \
    extern "C" __global__ void __launch_bounds__(128)                                                                  \
        attention_forward_##COLUMNS##_##type(SHARED_PARAMETERS(T), T *output) {                                        \
        attention_forward<T, COLUMNS>(SHARED_ARGUMENTS, output);                                                       \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(128) attention_queries_##COLUMNS##_##type(                            \
        SHARED_PARAMETERS(T), const T *gradient, T *output, float *statistics) {                                       \
        attention_queries<T, COLUMNS>(SHARED_ARGUMENTS, gradient, output, statistics);                                 \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(128) attention_keys_##COLUMNS##_##type(                               \
        SHARED_PARAMETERS(T), const T *gradient, const float *statistics, const unsigned *begins, const int *entries,  \
        const int *members, T *output, int tokens) {                                                                   \
        attention_keys<T, COLUMNS>(SHARED_ARGUMENTS, gradient, statistics, begins, entries, members, output, tokens);  \
    }                                                                                                                  \
    KERNEL(attention_forward_##COLUMNS##_##type)                                                                       \
    KERNEL(attention_queries_##COLUMNS##_##type)                                                                       \
    KERNEL(attention_keys_##COLUMNS##_##type)
#define OF_TYPE(T, type) DEFINE(T, type, 32) DEFINE(T, type, 64) DEFINE(T, type, 128) DEFINE(T, type, 256)
FOR_EACH_TYPE(OF_TYPE)
#undef OF_TYPE
#undef DEFINE
