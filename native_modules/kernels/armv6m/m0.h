// The Cortex-M0+ multiplies 32 x 32 to 32 bits in one cycle. Two activations in one word, a = a0 + (a1 << 16), and two
// weights crosswise in another, w = w1 + (w0 << 16), both signed sums, so that a borrow travels up, give
//     a * w = ((a0 * w0 + a1 * w1) << 16) + a0 * w1        modulo 2^32
// The sum in the middle fits 16 bits while |w| <= 127. Shifting it down leaves the sign of the low product in the
// carry, and adding with carry gives the borrow back: three cycles for two exact products.

#ifndef TL_M0_H
#define TL_M0_H

#include <stdbool.h>

#include "requantize.h"
#include "tl.h"

// tl_requantize, rounding and zero point in 32-bit multiplications, exact while |sum| < 2^20 and shift is -13 .. -1:
// the multiplier in parts of 11, 10 and 10 bits.
typedef struct {
    uint32_t low, middle, high;
    uint32_t round; // halves of both roundings, and the zero point
    uint32_t shift;
} tl_m0_requant_t;

void tl_m0_requant(tl_m0_requant_t *r, uint32_t mult, int32_t shift, int32_t zero);

// ---- dot4.S ---------------------------------------------------------------------------------------------------------

enum { TL_M0_CHUNK = 16 }; // words of activations in one call

typedef struct {
    uint32_t quads;       // fours of output channels
    const int32_t *start; // 4 * quads sums to begin with
    void *out;            // int8 4 * quads, or where raw is set int32 4 * quads
    uint32_t raw;
} tl_m0_dot4_t;

// x: 2 * words int8, readable to the next multiple of 4, on a multiple of 4. 1 <= words <= TL_M0_CHUNK.
// panel: per quad 4 * words words and, unless raw, four tl_m0_requant_t.
void tl_m0_dot4(const int8_t *x, uint32_t words, const uint32_t *panel, const tl_m0_dot4_t *d);

// ---- slide.S --------------------------------------------------------------------------------------------------------

typedef struct {
    int32_t start;     // sum that an output begins with
    int32_t start_top; // the same for the first row's output, which has no row above
    int32_t bottom;    // what the last row's output still lacks, which has no row below
    int32_t w22;       // kernel row 2, column 2
    tl_m0_requant_t requant;
    int32_t out;        // from the input pointer behind a row to the output which that row finishes
    int32_t out_last;   // the same for the one below it
    int32_t columns;    // of the image, with these weights
    int32_t next;       // bytes from the end of a column to the top of the next
    int32_t height;     // bytes from the first to behind the last input row
    int32_t warm;       // rows before the first output is finished: 1 or 2
    int32_t pad_bottom; // 0 or 1
    uint32_t w[3];      // kernel rows: column 1 + (column 0 << 16)
    int32_t w02, w12;   // kernel rows 0 and 1, column 2
    int32_t step;       // bytes from the middle column to the left one of the row below
    int32_t channels;
} tl_m0_slide_t;

// x: the leftmost pixel that the window meets in the first row
void tl_m0_slide(const int8_t *x, const tl_m0_slide_t *d);

// ---- window.S -------------------------------------------------------------------------------------------------------

typedef struct {
    const uint32_t *w, *w_end; // per row of the window: two weights each, the second of an odd last one 0
    int32_t start;             // sum that an output begins with
    uint32_t pairs;            // words of a row of the window
    uint32_t right;            // bytes from one pair of pixels to the next
    uint32_t down;             // bytes from one row to the next
    const uint32_t *end;       // behind the ring of rows
    uint32_t around;           // its bytes
    uint32_t stride;           // bytes from the window of one output to the next
    uint32_t y_step;           // bytes from one output to the next
    uint32_t raw;              // 1: y is int32, sums
    tl_m0_requant_t requant;
} tl_m0_window_t;

// n outputs, the first with its window at `at` in the ring
void tl_m0_window(const uint32_t *at, void *y, uint32_t n, const tl_m0_window_t *d);

// ---- rows.S ---------------------------------------------------------------------------------------------------------

enum { TL_M0_ROW = 32 }; // bytes of a row in one call

typedef struct {
    uint32_t rows;
    int32_t next;  // bytes from behind these weights of a row to those of the next
    int32_t *sums; // one per row: added to
} tl_m0_rows_t;

// sums[row] += w[row] . x. x, w: 8 * units int8 (of each row), on multiples of 4; 8 * units <= TL_M0_ROW
void tl_m0_rows(const int8_t *x, uint32_t units, const int8_t *w, const tl_m0_rows_t *d);

// ---- C --------------------------------------------------------------------------------------------------------------
// The kernels of tl.h; false: nothing done, for the scratch is too small.

bool tl_m0_conv2d(const tl_window_t *g, const int8_t *x, const int8_t *w, const int32_t *b, const int32_t *mult,
    const int8_t *shift, int8_t *y, const tl_work_t *work);
bool tl_m0_depthwise_conv2d(const tl_window_t *g, const int8_t *x, const int8_t *w, const int32_t *b,
    const int32_t *mult, const int8_t *shift, int8_t *y, const tl_work_t *work);

// Fills the scratch with the sums of rows 0, step, 2 step ..., 1, 1 + step ... and gives the step, or 0.
int32_t tl_m0_fully_connected(
    const tl_dense_t *g, const int8_t *x, const int8_t *w, const int32_t *b, const tl_work_t *work);

// y as it is, clamped
void tl_m0_clamp(const tl_window_t *g, int8_t *y);

#endif
