// The sums of dense layers on the Cortex-M0+: by the panel in the model's file, or else by rows.S in aligned words, of
// which the first and the last may have weights of neighbouring rows in them: those meet zeros.

#include "work.h"

#ifdef __ARM_ARCH_6M__
#include <string.h>

#include "fast.h"
#include "micro.h"

// Four of the inputs from `at` on, of which there may be fewer, or none. x NULL: ones
static uint32_t four(const tl_dense_t *g, const int8_t *x, int32_t at) {
    const int32_t left = g->n_in - at;
    uint32_t v = 0;
    if (left > 0) {
        v = x ? *(const uint32_t *)(x + at) : 0x01010101;
        v = left < 4 ? v & ((1u << 8 * left) - 1) : v;
    }
    return v;
}

// sums += w . x over every `step`th row from w on. x NULL: ones
static void add_rows(const tl_dense_t *g, const int8_t *x, const int8_t *w, int32_t step, int32_t rows, int32_t *sums) {
    const int32_t before = (int32_t)(uintptr_t)w & 3, all = before + g->n_in;
    uint32_t part[TL_ROW / 4], over = 0; // what goes over into the next word
    tl_rows_t d = {(uint32_t)rows, 0, sums};
    for (int32_t at = 0, n; at < all; at += n) {
        const int8_t *from = (const int8_t *)part;
        n = all - at < TL_ROW ? all - at : TL_ROW;
        if (x && before == 0 && n >= 4) { // as it lies
            n &= -4;
            from = x + at;
        } else {
            n = (n + 3) & -4;
            for (int32_t i = 0; i < n; i += 4) {
                const uint32_t v = four(g, x, at + i);
                part[i / 4] = v << 8 * before | over;
                over = v >> 8 >> (24 - 8 * before);
            }
        }
        d.next = step * g->n_in - n;
        tl_dense_rows(from, (uint32_t)n / 4, w + at - before, &d);
    }
}

// All of it with a panel of 16 bits per weight; beyond the last of x and of the rows, it has zeros
static void chain(const tl_dense_t *g, const int8_t *x, const tl_work_t *work) {
    const uint32_t *panel = work->panel;
    tl_dot4_t d = {.quads = (uint32_t)(g->n_out + 3) / 4, .start = work->start, .out = work->at, .raw = TL_RAW};
    for (int32_t left = g->n_in; left > 0; left -= 2 * TL_CHUNK, x += 2 * TL_CHUNK) {
        uint32_t words = left < 2 * TL_CHUNK ? (uint32_t)(left + 3) / 4 * 2 : TL_CHUNK;
        tl_dot4(x, words, panel, &d);
        panel += 4 * d.quads * words;
        d.start = work->at;
    }
}

int32_t tl_fast_fully_connected(const tl_dense_t *g, const tl_layer_t *of, const tl_work_t *work) {
    const int32_t n = g->n_in, zero = work->start ? 0 : g->x_zero; // a start has the zero point's part in it
    const int32_t step = n & 3 ? 4 : 1;                            // rows between two that lie alike in their words
    int32_t *sums = work->at;
    if (work->bytes < tl_fully_connected_scratch(g)) {
        return 0;
    }
    if (work->panel && work->bytes >= 4 * (uint32_t)tl_fours(g->n_out)) {
        chain(g, of->x, work);
        return 1;
    }
    const int32_t *b = work->start ? work->start : of->b;
    for (int32_t i = 0; i < step && i < g->n_out; i++) {
        const int32_t rows = (g->n_out - i + step - 1) >> (step / 2);
        memset(sums, 0, 4 * (size_t)rows);
        if (zero) {
            add_rows(g, NULL, of->w + i * n, step, rows, sums);
        }
        for (int32_t j = 0; j < rows; j++) {
            sums[j] = (b ? b[i + j * step] : 0) - zero * sums[j];
        }
        add_rows(g, of->x, of->w + i * n, step, rows, sums);
        sums += rows;
    }
    return step;
}
#endif
