// The filter transformation on a GPU: both directions are gathers, with one read and one write of
// each element and no atomics, so that gradients are the same bits every time.
//
//   w       (O, I * C)                canonical filters, C = S_in * k * k (* k) cells for each channel pair
//   folded  (O * S_out, I * C)        transformed filters, the weight of the planar convolution
//   gather, inverse  int (S_out, C)   FilterTransformation's tables: where cell c of element h is read
//
// A thread has one column j of I * C; neighbouring threads store to neighbouring cells. Threads in y
// take the rows of w in turn. Compile with
//   VALUE    float, double, or unsigned short for the bits of a half
//   SUM      the type of sums: double, or float (for halves too)
//   TO_SUM, FROM_SUM   the conversions between them
//   INDEX    int, or long long where an offset may leave 32 bits

#ifndef READ
#define READ(type) const type* __restrict__
#define WRITE(type) type* __restrict__
#endif

#ifdef __CUDACC__
#define UNROLL _Pragma("unroll 4")
// Written out, since the header cuda_fp16.h is not on every machine that has a run-time compiler.
__device__ static inline float half_to_float(unsigned short bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}
__device__ static inline unsigned short float_to_half(float value) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
#else
#define UNROLL
#endif

// folded[o, h][j] = w[o][the cell of column j that element h reads]
// A thread stores its column for every h: so several loads are under way at once, and the few cells of w
// that they read stay in the cache.
extern "C" __global__ void fold_filters(READ(VALUE) w, READ(int) gather, WRITE(VALUE) folded,
                                        INDEX rows, INDEX columns, int S_out, int C) {
    INDEX j = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= columns) return;
    int c = (int)(j % C);
    for (INDEX o = blockIdx.y; o < rows; o += gridDim.y) {
        INDEX from = o * columns + (j - c), to = o * S_out * columns + j;
        UNROLL
        for (int h = 0; h < S_out; ++h) folded[to + h * columns] = w[from + gather[h * C + c]];
    }
}

// w_gradient[o][j] = sum over h, in their order, of folded_gradient[o, h][where h put column j]
extern "C" __global__ void unfold_filter_gradients(READ(VALUE) folded_gradient, READ(int) inverse,
                                                   WRITE(VALUE) w_gradient,
                                                   INDEX rows, INDEX columns, int S_out, int C) {
    INDEX j = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= columns) return;
    int c = (int)(j % C);
    for (INDEX o = blockIdx.y; o < rows; o += gridDim.y) {
        SUM sum = 0;
        UNROLL
        for (int h = 0; h < S_out; ++h) {
            INDEX row = o * S_out + h;
            sum += TO_SUM(folded_gradient[row * columns + (j - c) + inverse[h * C + c]]);
        }
        w_gradient[o * columns + j] = FROM_SUM(sum);
    }
}
