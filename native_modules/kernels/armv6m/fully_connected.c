// The sums of dense layers on the Cortex-M0+: by the panel in the model's file, or else runs of eight weights by
// rows.S, in aligned words; what is left of a row before and behind them one by one.

#include "work.h"

#ifdef __ARM_ARCH_6M__
#include <string.h>

#include "fast.h"
#include "micro.h"

enum { UNIT = 8 };

// sums += w . x over the whole units of every `step`th row from w on. x NULL: ones.
static void add_units(
    const tl_dense_t *g, const int8_t *x, const int8_t *w, int32_t step, int32_t rows, int32_t *sums) {
    int32_t part[TL_ROW / 4], at = -(int32_t)(uintptr_t)w & 3;
    tl_rows_t d = {(uint32_t)rows, 0, sums};
    for (int32_t n; (n = (g->n_in - at) & -UNIT) > 0; at += n) {
        n = n < TL_ROW ? n : TL_ROW;
        if (x) {
            memcpy(part, x + at, (size_t)n);
        } else {
            memset(part, 1, (size_t)n);
        }
        d.next = step * g->n_in - n;
        tl_dense_rows((const int8_t *)part, (uint32_t)n / UNIT, w + at, &d);
    }
}

int32_t tl_m0_dot(const int8_t *x, const int8_t *w, int32_t n, int32_t zero) {
    int32_t acc = 0;
    for (; n > 0; n--) {
        acc += *w++ * (*x++ - zero);
    }
    return acc;
}

// All of it with a panel of 16 bits per weight
static void chain(const tl_dense_t *g, const int8_t *x, const tl_work_t *work) {
    const uint32_t *panel = work->panel;
    tl_dot4_t d = {(uint32_t)g->n_out / 4, work->start, work->at, TL_RAW, 0};
    for (int32_t left = g->n_in; left > 0; left -= 2 * TL_CHUNK, x += 2 * TL_CHUNK) {
        uint32_t words = left < 2 * TL_CHUNK ? (uint32_t)left / 2 : TL_CHUNK;
        tl_dot4(x, words, panel, &d);
        panel += (uint32_t)g->n_out * words;
        d.start = work->at;
    }
}

int32_t tl_fast_fully_connected(
    const tl_dense_t *g, const int8_t *x, const int8_t *w, const int32_t *b, const tl_work_t *work) {
    const int32_t n = g->n_in, zero = work->start ? 0 : g->x_zero; // a start has the zero point's part in it
    const int32_t step = n & 3 ? 4 : 1;                            // rows between two that lie alike in their words
    int32_t *sums = work->at;
    if (work->bytes < tl_fully_connected_scratch(g)) {
        return 0;
    }
    if (work->panel) {
        chain(g, x, work);
        return 1;
    }
    b = work->start ? work->start : b;
    memset(sums, 0, 4 * (size_t)g->n_out);
    for (int32_t i = 0; i < step && i < g->n_out; i++) {
        const int8_t *row = w + i * n;
        int32_t rows = (g->n_out - i + step - 1) >> (step / 2), before = -(int32_t)(uintptr_t)row & 3;
        before = before < n ? before : n;
        int32_t units = (n - before) & -UNIT;
        if (zero) {
            add_units(g, NULL, row, step, rows, sums);
        }
        for (int32_t j = 0; j < rows; j++, row += step * n) {
            int32_t rest = before + units;
            sums[j] = (b ? b[i + j * step] : 0) - zero * sums[j] + tl_m0_dot(x, row, before, zero) +
                      tl_m0_dot(x + rest, row + rest, n - rest, zero);
        }
        add_units(g, x, w + i * n, step, rows, sums);
        sums += rows;
    }
    return step;
}
#endif
