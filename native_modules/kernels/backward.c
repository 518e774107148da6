#include "backward.h"

#include <string.h>

#include "fast_grad.h"
#include "filter.h"
#include "tlm.h"
#include "work.h"

#ifndef TL_RECORDS
#define TL_RECORDS (TL_FISHER | TL_PULL | TL_FILTER_2 | TL_FILTER_4) // of those that not every module has
#endif

enum { KNOWN = (TL_FISHER - 1) | (TL_RECORDS) };

// A record being worked on: everything found and inside the arena.
typedef struct {
    const tl_program_t *p;
    tl_plan_t plan;
    tl_call_t call;
    tl_window_t window; // of weighted operators and pools; a dense layer is a convolution of one pixel
    tl_grad_t dy, dx, dx2;
    const uint8_t *mask;
    int32_t *scratch;
    tl_channels_t in, out; // to train
    const tl_rate_t *weight_rates, *bias_rates;
    int16_t *buffer;
    int32_t *bias_buffer;
    tl_fisher_t *fisher;
    int32_t channels; // of y, where some are pulled
    const int8_t *reference;
    tl_filter_t filter;
    const int8_t *patches;
} record_t;

// ---- Finding --------------------------------------------------------------------------------------------------------

enum { MAX_CLAIMS = 16 };

// What a record touches in the arena.
typedef struct {
    struct {
        uintptr_t at, end;
        bool written;
    } of[MAX_CLAIMS];
    int32_t n;
    bool sound;
} claims_t;

// Nothing that is written overlaps anything.
static void claim(claims_t *claims, const void *at, size_t bytes, bool written) {
    const uintptr_t from = (uintptr_t)at, end = from + bytes;
    for (int32_t i = 0; i < claims->n; i++) {
        if (from < claims->of[i].end && claims->of[i].at < end && (written || claims->of[i].written)) {
            claims->sound = false;
        }
    }
    if (bytes) {
        claims->of[claims->n].at = from;
        claims->of[claims->n].end = end;
        claims->of[claims->n++].written = written;
    }
}

// So many bytes of the arena; NULL, and the claims unsound, where they do not lie in it.
static void *place(const record_t *r, claims_t *claims, int32_t offset, uint64_t bytes, bool written) {
    if (bytes > INT32_MAX || offset < 0 ||
        !tl_inside((tl_extent_t){0, r->p->arena_length}, (uint32_t)offset, (uint32_t)bytes)) {
        claims->sound = false;
        return NULL;
    }
    claim(claims, r->p->arena + offset, (size_t)bytes, written);
    return r->p->arena + offset;
}

static bool weighted(int32_t code) {
    return code <= TL_FULLY_CONNECTED;
}

// Whether dx may lie where dy lies.
static bool elementwise(int32_t code) {
    return code == TL_ADD || code == TL_CLAMP || code == TL_RESHAPE;
}

// A constant 0 for what this is compiled without
static inline int32_t wanted(const record_t *r, int32_t flag) {
    return r->plan.flags & flag & KNOWN;
}

static inline bool filtered(const record_t *r) {
    return wanted(r, TL_FILTER_2 | TL_FILTER_4);
}

// A gradient tensor of n elements, its exponent from the table.
static tl_grad_t find_gradient(
    record_t *r, claims_t *claims, int32_t offset, size_t n, const int32_t *exponents, uint16_t tensor) {
    void *at = place(r, claims, offset, (uint64_t)n * (uint32_t)(r->plan.width / 8), true);
    const int32_t most = 1 << 20; // sums of exponents fit
    const int32_t e = exponents[tensor];
    return (tl_grad_t){at, (int32_t)n, r->plan.width, e > most ? most : e < -most ? -most : e};
}

// The channels of one axis: all, or those that the plan chooses.
static tl_channels_t find_channels(record_t *r, claims_t *claims, int32_t all, bool chosen) {
    const tl_plan_t *plan = &r->plan;
    if (!chosen || (plan->count == 0 && plan->list < 0)) {
        return (tl_channels_t){0, all, NULL};
    }
    tl_channels_t c = {plan->first, plan->count, NULL};
    claims->sound = claims->sound && c.count > 0 && c.count <= all && c.first >= 0 && c.first <= all - c.count;
    if (plan->list >= 0 && claims->sound) {
        c.list = place(r, claims, plan->list, 2 * (uint64_t)(uint32_t)c.count, false);
        for (int32_t i = 0; i < c.count && claims->sound; i++) {
            claims->sound = c.list[i] >= 0 && c.list[i] < all;
        }
    }
    return c;
}

// Weights and biases are trained where they lie: in the arena, or in a file that may be written to.
static bool may_change(const record_t *r, uint16_t tensor, const tl_span_t *span) {
    const int32_t place = r->p->places && tensor != TL_NONE ? r->p->places[tensor] : TL_AS_IT_CAME;
    return span->bytes && (place >= 0 || (place == TL_CHANGED && r->p->writable));
}

// What training a weighted operator takes.
static void find_trained(record_t *r, claims_t *claims, int32_t mode) {
    const tl_plan_t *plan = &r->plan;
    const tl_window_t *g = &r->window;
    const tl_operator_t *op = &r->p->operators[plan->op];
    const tl_span_t *w = &r->call.span[TL_W], *b = &r->call.span[TL_B];
    const bool depthwise = r->call.code == TL_DEPTHWISE_CONV2D;
    r->in = find_channels(r, claims, g->in_c, plan->axis == 0 && !depthwise);
    r->out = find_channels(r, claims, g->out_c, plan->axis != 0 || depthwise);
    if (depthwise) {
        r->in = (tl_channels_t){0, 1, NULL};
    }
    const uint32_t rates = (uint32_t)g->out_c * sizeof(tl_rate_t);
    const uint64_t row = (uint64_t)(uint32_t)(g->k_h * g->k_w) * (uint32_t)r->in.count;
    uint64_t weights = 0, biases = 0;
    if (wanted(r, TL_TRAIN_WEIGHTS)) {
        weights = row * (uint32_t)r->out.count;
        r->weight_rates = place(r, claims, plan->weight_rates, rates, false);
        claims->sound = claims->sound && (uint64_t)plan->scratch_bytes >= 4 * row && may_change(r, op->w, w);
    }
    if (wanted(r, TL_TRAIN_BIAS)) {
        biases = (uint32_t)r->out.count;
        r->bias_rates = place(r, claims, plan->bias_rates, rates, false);
        claims->sound = claims->sound && may_change(r, op->b, b);
    }
    claim(claims, w->at, w->bytes, weights > 0);
    claim(claims, b->at, b->bytes, biases > 0);
    if (!TL_LEAN && mode != TL_SGD) {
        r->buffer = place(r, claims, plan->buffer, (2 * weights + 3) / 4 * 4 + 4 * biases, true);
        r->bias_buffer = r->buffer ? (int32_t *)(void *)(r->buffer + (weights + 1) / 2 * 2) : NULL;
    }
}

// How many bits gradients may have, so that no sum over output channels and taps, or over pixels, leaves an int32.
static int32_t gradient_bits(const record_t *r) {
    const tl_window_t *g = &r->window;
    const uint64_t taps = 128 * (uint64_t)(uint32_t)(g->k_h * g->k_w) * (uint32_t)g->out_c;
    const uint64_t pixels = 255 * (uint64_t)(uint32_t)g->out_h * (uint32_t)g->out_w;
    const uint64_t most = taps > pixels ? taps : pixels;
    const int32_t bits = 31 - tl_bits(most >> 31 ? INT32_MAX : (uint32_t)most);
    return bits < r->plan.width - 1 ? bits : r->plan.width - 1;
}

static bool uses_row(int32_t code) {
    return weighted(code) || code == TL_AVG_POOL || code == TL_MAX_POOL;
}

static void find_window(record_t *r) {
    r->window = r->call.g.window;
    if (r->call.code == TL_FULLY_CONNECTED) {
        const tl_dense_t *g = &r->call.g.dense;
        r->window = (tl_window_t){1, 1, g->n_in, 1, 1, g->n_out, 1, 1, 1, 1, 1, 1, 0, 0, g->x_zero, g->y_zero, 0, 0};
    }
}

// Where the Fisher information of x's or y's channels is summed. Those values must still be there.
static void find_fisher(record_t *r, claims_t *claims) {
    const bool output = r->plan.axis != 0;
    const tl_span_t *values = &r->call.span[output ? TL_Y : TL_X];
    const uint32_t channels = (uint32_t)(output ? r->window.out_c : r->window.in_c);
    claim(claims, values->at, values->bytes, false);
    r->fisher = place(r, claims, r->plan.buffer, channels * sizeof(tl_fisher_t), true);
    claims->sound =
        claims->sound && weighted(r->call.code) && (output || r->dx.at) && !wanted(r, TL_TRAIN_WEIGHTS | TL_TRAIN_BIAS);
}

// The patches that a filtered record works on. Scratch must do for sums and for dx.
static void find_filter(record_t *r, claims_t *claims) {
    const tl_plan_t *plan = &r->plan;
    r->filter = tl_filter(&r->window, wanted(r, TL_FILTER_4) ? 4 : 2);
    const uint64_t patches = (uint64_t)(uint32_t)r->filter.h * (uint32_t)r->filter.w * (uint32_t)r->window.in_c;
    if (wanted(r, TL_TRAIN_WEIGHTS)) {
        r->patches = place(r, claims, plan->dx2, patches, false);
    }
    claims->sound = claims->sound && r->call.code <= TL_DEPTHWISE_CONV2D && patches <= INT32_MAX / 4 &&
                    (uint64_t)plan->scratch_bytes >= tl_filter_scratch(&r->filter, wanted(r, TL_GRAD_INPUT));
}

// What y's channels are pulled to
static void find_pull(record_t *r, claims_t *claims) {
    const tl_plan_t *plan = &r->plan;
    const tl_span_t *y = &r->call.span[TL_Y];
    const uint32_t channels = r->p->tensors[r->p->operators[plan->op].y].shape[3];
    if (channels == 0 || y->bytes % channels || plan->flags != TL_PULL) {
        claims->sound = false;
        return;
    }
    r->channels = (int32_t)channels;
    r->out = find_channels(r, claims, r->channels, true);
    r->weight_rates = place(r, claims, plan->weight_rates, sizeof(tl_rate_t), false);
    r->reference = place(r, claims, plan->buffer, (uint64_t)(y->bytes / channels) * (uint32_t)r->out.count, false);
    claim(claims, y->at, y->bytes, false);
}

static tl_status_t find(record_t *r, int32_t *exponents, size_t exponents_bytes, int32_t mode) {
    const tl_plan_t *plan = &r->plan;
    if (plan->op < 0 || (uint32_t)plan->op >= r->p->n_operators || (plan->width != 8 && !tl_is_wide(plan->width)) ||
        plan->scratch_bytes < 0) {
        return TL_E_PLAN;
    }
    const tl_operator_t *op = &r->p->operators[plan->op];
    tl_status_t status = tl_read_call(r->p, (uint32_t)plan->op, &r->call);
    if (status) {
        return status;
    }
    const tl_span_t *span = r->call.span;
    const int32_t code = r->call.code;
    const bool known = code != TL_SOFTMAX && !(TL_LEAN && code == TL_MAX_POOL) && !(plan->flags & ~KNOWN);
    const bool in_place = elementwise(code) && plan->dx == plan->dy && !wanted(r, TL_ADD_TO_DX);
    const bool train = wanted(r, TL_TRAIN_WEIGHTS | TL_TRAIN_BIAS);
    claims_t claims = {.n = 0, .sound = known && (weighted(code) || !train)};
    claim(&claims, exponents, exponents_bytes, true);
    r->dy = find_gradient(r, &claims, plan->dy, span[TL_Y].bytes, exponents, op->y);
    if (wanted(r, TL_PULL)) {
        find_pull(r, &claims);
        return claims.sound ? TL_OK : TL_E_PLAN;
    }
    if (wanted(r, TL_GRAD_INPUT)) {
        claims_t apart = claims; // where dx lies on dy itself, dy's claim stands for both
        r->dx = find_gradient(r, in_place ? &apart : &claims, plan->dx, span[TL_X].bytes, exponents, op->x);
        claims.sound = claims.sound && r->dx.at;
    }
    if (code == TL_ADD && op->x2 == op->x) { // one gradient, written for x2 and added to for x
        r->dx2 = r->dx;
        claims.sound = claims.sound && r->dx.at && plan->dx2 == plan->dx && wanted(r, TL_ADD_TO_DX);
    } else if (code == TL_ADD && plan->dx2 >= 0) {
        r->dx2 = find_gradient(r, &claims, plan->dx2, span[TL_X2].bytes, exponents, op->x2);
    }
    if (plan->mask >= 0) {
        r->mask = place(r, &claims, plan->mask, (span[TL_Y].bytes + 7) / 8, false);
    }
    if (uses_row(code)) {
        find_window(r);
        r->scratch = place(r, &claims, plan->scratch, (uint32_t)plan->scratch_bytes, true);
        const uint64_t row = 4 * (uint64_t)(uint32_t)r->window.in_w * (uint32_t)r->window.in_c;
        claims.sound = claims.sound && (!wanted(r, TL_GRAD_INPUT) || (uint64_t)plan->scratch_bytes >= row) &&
                       (!weighted(code) || gradient_bits(r) >= 2) &&
                       (code != TL_AVG_POOL || tl_avg_pool_bits(&r->window, plan->width) >= 4);
    }
    if (filtered(r)) {
        find_filter(r, &claims);
    }
    if ((!TL_LEAN && code == TL_MAX_POOL) || (wanted(r, TL_TRAIN_WEIGHTS) && !filtered(r))) {
        claim(&claims, span[TL_X].at, span[TL_X].bytes, false);
    }
    if (!TL_LEAN && code == TL_MAX_POOL) {
        claim(&claims, span[TL_Y].at, span[TL_Y].bytes, false);
    }
    if (weighted(code)) {
        find_trained(r, &claims, train ? mode : TL_SGD);
    }
    if (wanted(r, TL_FISHER)) {
        find_fisher(r, &claims);
    }
    return claims.sound ? TL_OK : TL_E_PLAN;
}

// ---- Running --------------------------------------------------------------------------------------------------------

// A filtered kernel's taps all have what the patches' one has.
static void repeat_taps(const record_t *r) {
    const int32_t n = r->in.count;
    for (int32_t tap = 1; tap < r->window.k_h * r->window.k_w; tap++) {
        memcpy(r->scratch + tap * n, r->scratch, 4 * (size_t)n);
    }
}

// The sums of weights of output channel i, and of as many behind it as fast kernels give at once: how many, and int32
// from one channel's to the next. Filtered: of a pointwise kernel on the patches
static int32_t weight_sums(record_t *r, int32_t i, int32_t *row) {
    tl_weights_t of = {&r->window, &r->dy, r->call.span[TL_X].at, &r->in, &r->out};
    const bool depthwise = r->call.code == TL_DEPTHWISE_CONV2D;
    tl_window_t reduced;
    if (filtered(r)) {
        reduced = tl_filter_reduced(&r->filter);
        of.g = &reduced;
        of.x = r->patches;
    }
    int32_t n = 0;
    if (!filtered(r) || (!depthwise && r->window.k_h * r->window.k_w == 1)) {
        n = (depthwise ? tl_fast_depthwise_grad_weight : tl_fast_conv2d_grad_weight)(
            &of, i, r->scratch, r->plan.scratch_bytes, row);
    }
    if (n == 0) {
        const int32_t o = tl_channel_at(&r->out, i);
        if (depthwise) {
            r->in.first = (int32_t)((uint32_t)o / ((uint32_t)r->window.out_c / (uint32_t)r->window.in_c));
        }
        tl_fast_grad_weight(of.g, of.dy, of.x, o, of.in, r->scratch);
        if (filtered(r)) {
            repeat_taps(r);
        }
        n = 1;
    }
    return n;
}

// A dense layer's dw is x times the gradient of an output: one row serves them all.
static tl_row_t input_row(record_t *r) {
    const int32_t n = r->in.count;
    tl_row_t row = tl_update_input(r->call.span[TL_X].at, r->window.x_zero, &r->in, (uint32_t *)r->scratch);
    if (r->plan.scratch_bytes >= tl_grad_weight_scratch(&r->window, 8, false, n)) {
        tl_update_sixteens(&row, (uint32_t *)r->scratch + n);
    }
    return row;
}

static bool is_outer(const record_t *r) {
    return tl_grad_is_dense(&r->window) && r->call.code != TL_DEPTHWISE_CONV2D && !r->filter.r;
}

// What the steps of all output channels have in common
static tl_steps_t find_steps(record_t *r, tl_update_t *u) {
    const tl_window_t *g = &r->window;
    const bool depthwise = r->call.code == TL_DEPTHWISE_CONV2D;
    const int32_t taps = g->k_h * g->k_w, products = depthwise ? taps : taps * g->in_c;
    tl_steps_t s = {.u = u,
        .exponent = r->dy.exponent,
        .most = INT32_MAX - products * (255 * 128), // no sum of the forward overflows
        .rows = depthwise ? 1 : taps,
        .next_row = g->in_c,
        .next_channel = depthwise ? 1 : products,
        .step = depthwise ? g->out_c : 1,
        .buffer = TL_LEAN ? NULL : r->buffer,
        .bias_buffer = TL_LEAN ? NULL : r->bias_buffer};
    s.row.n = depthwise ? taps : r->in.count;
    s.outer = is_outer(r);
    if (s.outer && wanted(r, TL_TRAIN_WEIGHTS)) {
        s.row = input_row(r);
    }
    s.row.list = r->in.list;
    return s;
}

static void update(record_t *r, tl_update_t *u) {
    tl_steps_t s = find_steps(r, u);
    const bool weights = wanted(r, TL_TRAIN_WEIGHTS), summed = weights && !s.outer;
    const bool together = s.outer && !tl_is_wide(r->dy.width);
    int8_t *w = (int8_t *)r->call.span[TL_W].at + (r->in.list ? 0 : r->in.first);
    for (int32_t i = 0, ready = 0, n; i < r->out.count; i += n, ready -= n) {
        const int32_t o = tl_channel_at(&r->out, i);
        int32_t total, row = 0;
        s.rates = weights ? r->weight_rates + o : NULL;
        s.bias_rates = wanted(r, TL_TRAIN_BIAS) ? r->bias_rates + o : NULL;
        s.w = w + o * s.next_channel;
        s.b = (int32_t *)r->call.span[TL_B].at + o;
        if (together) {
            ready = r->out.count - i;
            s.gradients = (const int8_t *)r->dy.at + o;
        } else if (ready <= 0) {
            ready = summed ? weight_sums(r, i, &row) : 1;
            s.sums = r->scratch;
            s.next_sums = row;
            s.zero = row ? r->window.x_zero : 0;
            s.totals = s.sums + ready * row;
            if (row == 0) { // not known
                total = s.outer ? tl_grad_get(&r->dy, o) : tl_grad_bias(&r->dy, r->window.out_c, o);
                s.totals = &total;
            }
        }
        n = r->out.list ? 1 : ready;
        tl_fast_update_channels(&s, n);
    }
}

// Where weights or a window lead back to x
static void window_grad(record_t *r, tl_rows_t *dx) {
    const tl_span_t *span = r->call.span;
    if (filtered(r)) {
        tl_filter_input(&r->filter, &r->dy, span[TL_W].at, r->call.code == TL_DEPTHWISE_CONV2D, dx, r->scratch,
            r->plan.scratch_bytes);
        return;
    }
    const tl_back_t back = {&r->window, &r->dy, span[TL_W].at, span[TL_X].at, span[TL_Y].at};
    switch (r->call.code) {
        case TL_DEPTHWISE_CONV2D:
            if (!tl_fast_depthwise_grad_input(&back, dx, r->scratch, r->plan.scratch_bytes, r->dy.exponent)) {
                tl_grad_input(&back, tl_depthwise_conv2d_scatter, dx, r->scratch, r->dy.exponent);
            }
            break;
        case TL_AVG_POOL:
            tl_grad_input(
                &back, tl_avg_pool_scatter, dx, r->scratch, r->dy.exponent - tl_avg_pool_bits(&r->window, r->dy.width));
            break;
        case TL_MAX_POOL:
            if (!TL_LEAN) {
                tl_grad_input(&back, tl_max_pool_scatter, dx, r->scratch, r->dy.exponent);
            }
            break;
        default:
            if (!tl_fast_conv2d_grad_input(&back, dx, r->scratch, r->plan.scratch_bytes, r->dy.exponent)) {
                tl_grad_input(&back, tl_conv2d_scatter, dx, r->scratch, r->dy.exponent);
            }
    }
}

static void input_grad(record_t *r, tl_rows_t *dx) {
    const tl_grad_t *dy = &r->dy;
    switch (r->call.code) {
        case TL_MEAN:
            tl_mean_grad(&r->call.g.mean, dy, dx);
            break;
        case TL_PAD:
            tl_pad_grad(&r->call.g.pad, dy, dx);
            break;
        case TL_ADD:
            tl_rows_scaled(dx, 0, dy, 0, dy->n, tl_add_ratio(&r->call.g.add, false));
            break;
        case TL_CLAMP:
            tl_rows_scaled(dx, 0, dy, 0, dy->n, tl_ratio(r->call.g.clamp.mult, r->call.g.clamp.shift));
            break;
        case TL_RESHAPE:
            tl_rows_scaled(dx, 0, dy, 0, dy->n, (tl_ratio_t){1, 0});
            break;
        default:
            window_grad(r, dx);
    }
}

static void run(record_t *r, int32_t *exponents, tl_update_t *u) {
    const tl_operator_t *op = &r->p->operators[r->plan.op];
    const tl_window_t *g = &r->window;
    if (wanted(r, TL_PULL)) {
        tl_pull(&r->dy, r->channels, r->call.span[TL_Y].at, r->reference, &r->out, *r->weight_rates);
        exponents[op->y] = r->dy.exponent;
        return;
    }
    if (wanted(r, TL_FISHER) && r->plan.axis) {
        tl_fisher(r->fisher, g->out_c, r->call.span[TL_Y].at, g->y_zero, &r->dy);
    }
    if (r->mask) {
        tl_grad_mask(&r->dy, r->mask);
    }
    if (filtered(r)) {
        tl_filter_sums(&r->filter, &r->dy, r->scratch);
    }
    if (weighted(r->call.code)) {
        tl_grad_scale(&r->dy, r->call.code, r->call.span[TL_REQUANT].at, r->window.out_c, gradient_bits(r));
    }
    if (r->dx2.at) { // before dx, which may take dy's place
        tl_rows_t dx2 = tl_rows(&r->dx2, wanted(r, TL_ADD_TO_DX2));
        tl_rows_scaled(&dx2, 0, &r->dy, 0, r->dy.n, tl_add_ratio(&r->call.g.add, true));
        exponents[op->x2] = r->dx2.exponent;
    }
    if (r->dx.at) {
        if (r->dx.at == r->dx2.at) {
            r->dx.exponent = r->dx2.exponent;
        }
        tl_rows_t dx = tl_rows(&r->dx, wanted(r, TL_ADD_TO_DX));
        input_grad(r, &dx);
        exponents[op->x] = r->dx.exponent;
    }
    if (wanted(r, TL_FISHER) && !r->plan.axis) {
        tl_fisher(r->fisher, g->in_c, r->call.span[TL_X].at, g->x_zero, &r->dx);
    }
    if (wanted(r, TL_TRAIN_WEIGHTS | TL_TRAIN_BIAS)) {
        update(r, u);
    }
}

tl_status_t tl_backward(const tl_span_t spans[TL_BACK_SPANS]) {
    const tl_span_t *plan = &spans[TL_BACK_PLAN];
    tl_state_t *state = spans[TL_BACK_STATE].at;
    tl_program_t p;
    tl_status_t status = tl_open_program(&p, spans[TL_BACK_MODEL].at, spans[TL_BACK_MODEL].bytes);
    if (status || (status = tl_open_arena(&p, spans[TL_BACK_ARENA], spans[TL_BACK_PLACES]))) {
        return status;
    }
    p.writable = spans[TL_BACK_WEIGHTS].at == spans[TL_BACK_MODEL].at;
    if ((spans[TL_BACK_WEIGHTS].at && !p.writable) || spans[TL_BACK_STATE].bytes != sizeof(*state) ||
        (uintptr_t)state & 3 || state->mode < TL_SGD || state->mode >= TL_KNOWN_UPDATES || state->momentum < 0 ||
        state->momentum > 255 || state->exponents < 0 ||
        !tl_inside((tl_extent_t){0, p.arena_length}, (uint32_t)state->exponents, 4 * p.n_tensors)) {
        return TL_E_PARAMS;
    }
    if (plan->bytes % sizeof(tl_plan_t) || (uintptr_t)plan->at & 3) {
        return TL_E_PLAN;
    }
    int32_t *exponents = (int32_t *)(void *)(p.arena + state->exponents);
    tl_update_t u = {state->random ? (uint32_t)state->random : 1, state->mode, state->momentum};
    const size_t records = plan->bytes / sizeof(tl_plan_t);
    for (size_t i = 0; i < records && status == TL_OK; i++) {
        record_t r = {.p = &p};
        memcpy(&r.plan, (const tl_plan_t *)plan->at + i, sizeof(r.plan));
        if (i == 0 && r.plan.op >= 0 && (uint32_t)r.plan.op < p.n_operators && p.operators[r.plan.op].y < p.n_tensors) {
            exponents[p.operators[r.plan.op].y] = state->exponent;
        }
        status = find(&r, exponents, 4 * p.n_tensors, u.mode);
        if (status == TL_OK) {
            run(&r, exponents, &u);
        } else {
            status += 256 * (int32_t)i;
        }
    }
    state->random = (int32_t)u.random;
    return status;
}

// ---- Rates ----------------------------------------------------------------------------------------------------------

// A float32's first 16 bits: mantissa * 2^exponent, the mantissa in [2^15, 2^16)
static tl_ratio_t of_float(uint32_t bits) {
    return (tl_ratio_t){(int32_t)(((bits & 0x7fffff) | 0x800000) >> 8), (int32_t)(bits >> 23 & 255) - 127 - 15};
}

tl_status_t tl_rates(const tl_span_t *params, const tl_span_t spans[2]) {
    const int32_t *p = params->at;
    tl_program_t program;
    tl_status_t status = tl_open_program(&program, spans[0].at, spans[0].bytes);
    if (status) {
        return status;
    }
    if (params->bytes != 16 || (uintptr_t)p & 3 || p[0] < 0 || (uint32_t)p[0] >= program.n_operators || p[2] < 1 ||
        p[2] > 32767 || p[3] < -200 || p[3] > 200) {
        return TL_E_PARAMS;
    }
    const tl_operator_t *op = &program.operators[p[0]];
    if (!weighted(op->code) || op->w >= program.n_tensors || op->x >= program.n_tensors) {
        return TL_E_PLAN;
    }
    const tl_tensor_t *w = &program.tensors[op->w], *x = &program.tensors[op->x];
    const uint32_t channels = w->shape[op->code == TL_DEPTHWISE_CONV2D ? 3 : 0];
    const uint32_t *scales = w->scales ? (const uint32_t *)(const void *)(program.base + w->scales) : NULL;
    if (spans[1].bytes != channels * sizeof(tl_rate_t) || (uintptr_t)spans[1].at & 3 ||
        (scales && !tl_inside(program.data, w->scales, 4 * channels))) {
        return TL_E_BUFFER;
    }
    tl_rate_t *table = spans[1].at;
    for (uint32_t o = 0; o < channels; o++) {
        tl_ratio_t s = of_float(scales ? scales[o] : w->scale);
        if (p[1]) { // the bias's scale
            const tl_ratio_t of_x = of_float(x->scale);
            const uint32_t product = (uint32_t)s.mantissa * (uint32_t)of_x.mantissa; // [2^30, 2^32)
            s = (tl_ratio_t){(int32_t)(product >> 16), s.exponent + of_x.exponent + 16};
        }
        // p[2] / s^2 to 15 bits, one after the other: a 64-bit division is half a KB on small processors
        const uint32_t square = (uint32_t)s.mantissa * (uint32_t)s.mantissa; // [2^30, 2^32)
        uint32_t quotient = 0, rest = (uint32_t)p[2];
        int32_t exponent = p[3] - 2 * s.exponent;
        for (; quotient < 1 << 14; exponent--) {
            const bool beyond = rest >> 31 || rest << 1 >= square;
            quotient = quotient << 1 | beyond;
            rest = (rest << 1) - (beyond ? square : 0);
        }
        table[o] = (tl_rate_t){(int16_t)quotient, (int16_t)exponent};
    }
    return TL_OK;
}
