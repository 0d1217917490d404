// Just enough of CUDA to build kernels.cu with the host compiler and run it block by block, thread
// by thread. With PROBE, arrays hold no memory: reading gives the offset itself, writing is logged,
// so that the index arithmetic can be followed to offsets that no machine would allocate.
#include <cstring>

#define __global__
#define __device__

struct Coordinates { unsigned x, y, z; };
static Coordinates threadIdx, blockIdx, blockDim, gridDim;

static float half_to_float(unsigned short bits) { _Float16 value; std::memcpy(&value, &bits, 2); return value; }
static unsigned short float_to_half(float value) {
    _Float16 half = value;
    unsigned short bits;
    std::memcpy(&bits, &half, 2);
    return bits;
}

#ifdef PROBE
template <class T> struct Offsets { T operator[](long long i) const { return (T)i; } };
template <> struct Offsets<int> { const int* table; int operator[](long long i) const { return table[i]; } };
static long long* log_end;
struct Entry { double& value; void operator=(double v) { value = v; } };
template <class T> struct Log {
    Entry operator[](long long i) const {
        *log_end++ = i;
        double* value = (double*)log_end++;
        return Entry{*value};
    }
};
#define READ(type) Offsets<type>
#define WRITE(type) Log<type>
#endif

#include KERNELS

#ifdef PROBE
// Run one thread; log (offset written, value written) pairs; return how many.
#define RUN(kernel)                                                                                        \
    extern "C" int probe_##kernel(unsigned grid_y, unsigned block, unsigned block_x, unsigned block_y,    \
                                  unsigned thread, const int* table, long long rows, long long columns,   \
                                  int S_out, int C, long long* log) {                                      \
        gridDim = {1, grid_y, 1}; blockDim = {block, 1, 1};                                                \
        blockIdx = {block_x, block_y, 0}; threadIdx = {thread, 0, 0};                                      \
        log_end = log;                                                                                     \
        kernel(Offsets<VALUE>{}, Offsets<int>{table}, Log<VALUE>{}, (INDEX)rows, (INDEX)columns, S_out, C); \
        return (int)(log_end - log) / 2;                                                                   \
    }
#else
#define RUN(kernel)                                                                                        \
    extern "C" void run_##kernel(unsigned grid_x, unsigned grid_y, unsigned block, const VALUE* values,   \
                                 const int* table, VALUE* result, long long rows, long long columns,      \
                                 int S_out, int C) {                                                       \
        gridDim = {grid_x, grid_y, 1}; blockDim = {block, 1, 1};                                           \
        for (unsigned y = 0; y < grid_y; ++y)                                                              \
            for (unsigned x = 0; x < grid_x; ++x)                                                          \
                for (unsigned t = 0; t < block; ++t) {                                                     \
                    blockIdx = {x, y, 0}; threadIdx = {t, 0, 0};                                           \
                    kernel(values, table, result, (INDEX)rows, (INDEX)columns, S_out, C);                  \
                }                                                                                          \
    }
#endif
RUN(fold_filters)
RUN(unfold_filter_gradients)
