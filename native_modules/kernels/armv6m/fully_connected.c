// The sums of dense layers on the Cortex-M0+: by the panel in the model's file, or else by rows.S in aligned words, of
// which the first and the last may have weights of neighbouring rows in them: those meet zeros. The zero point meets
// them, too, so that a sum begins with what that is too much.

#include "work.h"

#ifdef __ARM_ARCH_6M__
#include <string.h>

#include "fast.h"
#include "micro.h"

// sums += w . x - zero * the bytes of w's words and 128 each, over some rows from w on
static void add_rows(const int8_t *x, int32_t n_in, const int8_t *w, tl_rows_t d) {
    const int32_t before = (int32_t)(uintptr_t)w & 3, step = d.next;
    uint32_t part[TL_ROW / 4];
    for (int32_t at = -before, n; at < n_in; at += n) {
        const int8_t *from = (const int8_t *)part;
        n = n_in - at < TL_ROW ? n_in - at : TL_ROW;
        if (before == 0 && n >= 4) { // as it lies
            n &= -4;
            from = x + at;
        } else {
            n = (n + 3) & -4;
            for (int32_t i = 0, j = at; i < n; i++, j++) {
                ((int8_t *)part)[i] = (uint32_t)j < (uint32_t)n_in ? x[j] : 0;
            }
        }
        d.next = step - n;
        tl_dense_rows(from, (uint32_t)n / 4, w + at, &d);
    }
}

// 128 for each byte of the words that a row of n weights lies in, and those that are not the row's
static int32_t too_much(const int8_t *w, int32_t n) {
    const int8_t *at = (const int8_t *)((uintptr_t)w & ~(uintptr_t)3), *end = w + n;
    int32_t sum = 128 * ((end - at + 3) & -4);
    for (; at < w; at++) {
        sum += *at;
    }
    for (; (uintptr_t)end & 3; end++) {
        sum += *end;
    }
    return sum;
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

void tl_dense_sums(const tl_dense_t *g, const tl_layer_t *of, const int32_t *start, int32_t *sums) {
    const int32_t n = g->n_in, zero = start ? 0 : g->x_zero, step = n & 3 ? 4 : 1; // rows that lie alike in their words
    const int32_t *b = start ? start : of->b;
    const int8_t *w = of->w;
    for (int32_t o = 0; o < g->n_out; o++, w += n) {
        const uint32_t over = zero ? (uint32_t)(zero * too_much(w, n)) : 0;
        sums[o] = (int32_t)((uint32_t)(b ? b[o] : 0) + over);
    }
    w = of->w;
    for (int32_t o = 0; o < step && o < g->n_out; o++, w += n) {
        const uint32_t rows = (uint32_t)(g->n_out - o + step - 1) >> (step / 2);
        add_rows(of->x, n, w, (tl_rows_t){rows, step * n, sums + o, zero, 4 * step});
    }
}

bool tl_fast_fully_connected(const tl_dense_t *g, const tl_layer_t *of, const tl_work_t *work) {
    if (work->bytes < tl_fully_connected_scratch(g)) {
        return false;
    }
    if (work->panel && work->bytes >= 4 * (uint32_t)tl_fours(g->n_out)) {
        chain(g, of->x, work);
    } else {
        tl_dense_sums(g, of, work->start, work->at);
    }
    return true;
}
#endif
