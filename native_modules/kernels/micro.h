// The inner loops of the fast kernels. armv6m/ and armv7em/ have them in assembly, micro.c in C for all other
// processors.

#ifndef TL_MICRO_H
#define TL_MICRO_H

#include <stdbool.h>

#include "pairs.h"
#include "requantize.h"
#include "tl.h"

// ---- Requantisation -------------------------------------------------------------------------------------------------

// tl_requantize, rounding and zero point, exact while |sum| < 2^20 and shift is -13 .. -1. The Cortex-M0+ has the
// multiplier in parts of 11, 10 and 10 bits, for want of a longer product.
// A shift of 0 rounds once. The loops take a step off results below zero, which only a second rounding needs, so there
// sums are lifted above zero and the result is lowered again: exact while |sum| < 2^19 and the multiplier is a multiple
// of 4 below 2^30.
typedef struct {
#ifdef __ARM_ARCH_6M__
    uint32_t low, middle, high;
    uint32_t round; // halves of both roundings, and the zero point
    uint32_t shift;
#else
    int32_t mult, round, shift, unused[2];
#endif
} tl_requant_t;

void tl_requant(tl_requant_t *r, uint32_t mult, int32_t shift, int32_t zero);

#ifdef __ARM_ARCH_6M__
enum { TL_LIFT = 1 << 19 };
#else
enum { TL_LIFT = 1 << 29 };
#endif

// What a sum that goes through tl_requant_t has to begin with
static inline int32_t tl_lift(int32_t shift) {
    return shift ? 0 : TL_LIFT;
}

// ---- The loops ------------------------------------------------------------------------------------------------------

#ifdef __ARM_ARCH_6M__
enum { TL_CHUNK = 16 }; // words of activations in one call
#else
enum { TL_CHUNK = 64 };
#endif

typedef struct {
    uint32_t quads;       // fours of output channels
    const int32_t *start; // 4 * quads sums to begin with
    void *out;            // int8 4 * quads, or where raw is set int32 4 * quads
    uint32_t raw;         // TL_RAW, or 0; on the Cortex-M0+ this struct's own address, too: see tl_dot4_beyond
    int32_t reach;        // there: added to each of four sums, it must give 20 bits
#ifdef __ARM_ARCH_6M__
    int32_t pixels;      // so many at once, or 0: one. Counted down, while `out` goes on. Not raw
    int32_t next;        // bytes from one's x to the next one's
    const int32_t *taps; // NULL, or where the activations lie, in bytes from x: a multiple of 4
#endif
} tl_dot4_t;

enum { TL_RAW = 1 };

// One pixel times all channels of a panel. x: 2 * words int8, readable to the next multiple of 4, on a multiple of 4.
// 1 <= words <= TL_CHUNK. panel: per quad 4 * words words and, unless raw, four tl_requant_t. Of every four weights the
// first word has the first and third, the next word the others.
void tl_dot4(const int8_t *x, uint32_t words, const uint32_t *panel, tl_dot4_t *d);

#ifdef __ARM_ARCH_6M__
// What tl_dot4 calls for a quad whose sums are not all within reach of tl_requant_t: fills y
void tl_dot4_beyond(const tl_dot4_t *d, int8_t *y, const int32_t sums[4], const tl_requant_t requant[4]);
#endif

// n > 0 weights of each of up to four rows into a panel as above, from p on: every fourth word; 2 * TL_CHUNK at most.
typedef struct {
    int32_t rows;
    int32_t step;   // bytes from row to row
    int32_t zero;   // times each row's sum, it is taken off
    int32_t *start; // what that row begins with; used up
} tl_pack_rows_t;

void tl_pack_rows(const int8_t *w, int32_t n, uint32_t *p, tl_pack_rows_t *d);

// Depthwise 3x3, stride 1, one pixel of padding left and right: down each column of one channel, straight on NHWC.
// Each input row meets three outputs at once: it ends one (kernel row 2), continues one (row 1) and begins one (row 0).
typedef struct {
    int32_t start;     // sum that an output begins with
    int32_t start_top; // the same for the first row's output, which has no row above
    int32_t bottom;    // what the last row's output still lacks, which has no row below
    int32_t w22;       // kernel row 2, column 2
    tl_requant_t requant;
    ptrdiff_t out;      // from the input pointer behind a row to the output which that row finishes
    ptrdiff_t out_last; // the same for the one below it
    int32_t columns;    // of the image, with these weights
    int32_t next;       // bytes from the end of a column to the top of the next
    int32_t height;     // bytes from the first to behind the last input row
    int32_t warm;       // rows before the first output is finished: 1 or 2
    int32_t pad_bottom; // 0 or 1
    uint32_t w[3];      // kernel rows: columns 0 and 1
    int32_t w02, w12;   // kernel rows 0 and 1, column 2
    int32_t step;       // bytes from the middle column to the left one of the row below
    int32_t channels;
} tl_slide_t;

// x: the leftmost pixel that the window meets in the first row
void tl_slide(const int8_t *x, const tl_slide_t *d);

// So many outputs, or runs of them: bytes from one's window to the next one's, from output to output
typedef struct {
    int32_t n, x, y;
} tl_walk_t;

#ifdef __ARM_ARCH_6M__
// Depthwise with any window, straight on NHWC. A region: outputs that see the same taps, in runs, two at a time
typedef struct {
    int32_t offset, w; // bytes from the first tap
} tl_tap_t;

typedef struct {
    int32_t columns;      // taps in a row
    const tl_tap_t *end;  // of their list, which has at least one
    int32_t w;            // bytes to the first tap's weight
    int32_t w_gap, x_gap; // bytes from behind a row of them to the next
    int32_t skip;         // 0, 1 or 2: how many taps a multiple of 3 has more, times 14
    int32_t x, y;         // bytes to the first window's first tap, to the first output
    tl_walk_t run, runs;
} tl_region_t;

// Columns that slide: `out`, `out_last` and `columns` of tl_slide_t, and bytes to the leftmost pixel
typedef struct {
    int32_t out, out_last, n, x;
} tl_columns_t;

typedef struct {
    tl_requant_t requant; // here and below: of a channel, by tl_depthwise
    tl_tap_t *list;
    int32_t start, x_step, y_bytes, bias;
    const tl_region_t *regions, *regions_end;
    tl_layer_t of;    // what is left of it
    int32_t channels; // left
    int32_t part;     // of the output channels that read the same x, times in_c
    int32_t out_c, in_c;
    int32_t x_zero, y_zero;
    uint32_t how;            // below
    tl_columns_t columns[3]; // left edge, all between, right edge
    tl_slide_t slide;        // height, next, warm, pad_bottom, step, channels
} tl_depthwise_t;

enum {
    TL_REGIONS,
    TL_COLUMNS, // of a 3x3 kernel with stride 1
    TL_LINE,    // a row of y_bytes meets three taps, with stride 1 and padding on either side
};

void tl_depthwise(tl_depthwise_t *d);
#else
// Depthwise with any window, straight on NHWC, four output channels at a time. A region: outputs that see the same taps
typedef struct {
    int32_t rows, x_row;  // of taps: how many, and bytes of one
    int32_t w_gap, x_gap; // bytes from behind a row to the next
    int32_t w, x, y;      // bytes to the first tap's weight, to the first window's first tap, to the first output
    tl_walk_t run, runs;
} tl_region_t;

typedef struct {
    tl_layer_t of; // from these four channels on
    int32_t x_zero, y_zero;
    int32_t x_tap, w_tap; // bytes from tap to tap
    int32_t start[4];     // what their sums begin with
    tl_requant_t requant[4];
    bool small;  // requant holds for them
    bool shared; // all four read one channel of x
} tl_quad_t;

void tl_quad(const tl_quad_t *d, const tl_region_t *r);

// Depthwise with three taps in a row, stride 1, straight on NHWC: one row of one channel. A pixel meets three outputs
// at once: it ends one, continues one and begins one.
typedef struct {
    int32_t w[3];
    int32_t start, zero; // what a sum begins with, less the zero point three times
    tl_requant_t requant;
    int32_t n, step;  // pixels, and bytes from one to the next, or from output to output
    bool left, right; // whether there is a pixel of padding
} tl_line_t;

void tl_line(const int8_t *x, int8_t *y, const tl_line_t *d);

// Depthwise with any window: one row of outputs of one channel, from a ring of rows of pixel pairs.
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
    tl_requant_t requant;
} tl_ring_t;

// n outputs, the first with its window at `at` in the ring
void tl_ring(const uint32_t *at, void *y, uint32_t n, const tl_ring_t *d);
#endif

#ifdef __ARM_ARCH_6M__
enum { TL_ROW = 32 }; // bytes of a row in one call

typedef struct {
    uint32_t rows;
    int32_t next;  // bytes from behind these weights of a row to those of the next
    int32_t *sums; // one per row: added to
    int32_t zero;
    int32_t sums_step; // bytes from one sum to the next
} tl_rows_t;

// Dense layers: sums[row] += w[row] . (x - zero) - 512 * fours * zero. x, w: 4 * fours int8 (of each row), on multiples
// of 4; 4 * fours <= TL_ROW
void tl_dense_rows(const int8_t *x, uint32_t fours, const int8_t *w, const tl_rows_t *d);
#else
enum { TL_DOTS = 4 };

// sums[r] += w[r] . (x - zero) of up to TL_DOTS rows of n neighbours, one behind the other
void tl_dots(const int8_t *x, const int8_t *w, int32_t rows, int32_t n, int32_t zero, int32_t *sums);
#endif

#endif
