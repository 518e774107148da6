#include <string.h>

#include "program.h"

// ---- Ranges: what each field of a geometry may be -------------------------------------------------------------------

enum { DIM, WINDOW, PAD, BEFORE, INT8, MAX, MULT, SHIFT, LEFT, UP, DOWN, ROW, PIXELS, COUNT };

// The least, and the most: itself, or 2^k - 1 as POWER + k. Small tables, since they lie in a board's RAM.
enum { POWER = 64 };
static const int8_t range[][2] = {
    [DIM] = {1, POWER + 16},
    [WINDOW] = {1, POWER + 8}, // kernel, stride, dilation
    [PAD] = {0, POWER + 8},
    [BEFORE] = {0, POWER + 16},
    [INT8] = {-128, POWER + 7},
    [MAX] = {-128, POWER + 7}, // and not below the field before it
    [MULT] = {0, POWER + 31},
    [SHIFT] = {-31, 30},
    [LEFT] = {20, 20}, // of an add: as TFLite has it
    [UP] = {0, 31},
    [DOWN] = {-31, 0},
    [ROW] = {1, POWER + 12}, // of a softmax
    [PIXELS] = {1, POWER + 23},
    [COUNT] = {1, POWER + 31},
};

// The ranges of the fields in the order of each geometry's struct
static const uint8_t kinds[] = {
#define WINDOW_FIELDS 0, 18
    DIM,
    DIM,
    DIM,
    DIM,
    DIM,
    DIM,
    WINDOW,
    WINDOW,
    WINDOW,
    WINDOW,
    WINDOW,
    WINDOW,
    PAD,
    PAD,
    INT8,
    INT8,
    INT8,
    MAX,
#define DENSE_FIELDS 18, 6
    DIM,
    DIM,
    INT8,
    INT8,
    INT8,
    MAX,
#define MEAN_FIELDS 24, 6
    PIXELS,
    DIM,
    INT8,
    INT8,
    MULT,
    SHIFT,
#define ADD_FIELDS 30, 13
    COUNT,
    INT8,
    INT8,
    INT8,
    INT8,
    MAX,
    LEFT,
    MULT,
    DOWN,
    MULT,
    DOWN,
    MULT,
    DOWN,
#define PAD_FIELDS 43, 10
    DIM,
    DIM,
    DIM,
    DIM,
    DIM,
    DIM,
    BEFORE,
    BEFORE,
    BEFORE,
    INT8,
#define CLAMP_FIELDS 53, 7
    COUNT,
    INT8,
    INT8,
    INT8,
    MAX,
    MULT,
    SHIFT,
#define SOFTMAX_FIELDS 60, 4
    COUNT,
    ROW,
    MULT,
    UP,
#define RESHAPE_FIELDS 53, 1
};

// Per code: where its kinds begin, and how many they are.
static const uint8_t geometry[TL_CODES][2] = {
    [TL_CONV2D] = {WINDOW_FIELDS},
    [TL_DEPTHWISE_CONV2D] = {WINDOW_FIELDS},
    [TL_FULLY_CONNECTED] = {DENSE_FIELDS},
    [TL_AVG_POOL] = {WINDOW_FIELDS},
    [TL_MAX_POOL] = {WINDOW_FIELDS},
    [TL_MEAN] = {MEAN_FIELDS},
    [TL_ADD] = {ADD_FIELDS},
    [TL_PAD] = {PAD_FIELDS},
    [TL_CLAMP] = {CLAMP_FIELDS},
    [TL_SOFTMAX] = {SOFTMAX_FIELDS},
    [TL_RESHAPE] = {RESHAPE_FIELDS},
};

int32_t tl_call_fields(int32_t code) {
    return code > 0 && code < TL_CODES ? geometry[code][1] : 0;
}

int32_t tl_call_first(int32_t code) {
    return geometry[code][0];
}

static bool in_range(const tl_call_t *call) {
    const uint8_t *kind = kinds + geometry[call->code][0];
    const int32_t *field = call->g.fields;
    int32_t left = geometry[call->code][1];
    do {
        const int32_t least = range[*kind][0], most = range[*kind][1];
        if (*field < least || *field > (most < POWER ? most : (int32_t)((1u << (most - POWER)) - 1)) ||
            (*kind == MAX && *field < field[-1])) {
            return false;
        }
        kind++;
        field++;
    } while (--left > 0);
    return true;
}

// ---- Sizes: how many bytes each buffer must have --------------------------------------------------------------------

// The sum over so many products of int8 and (int8 - zero point) fits an int32.
enum { MAX_TAPS = 65535 };

typedef struct {
    uint32_t bytes[TL_SPANS];
    uint32_t channels, taps; // output channels with a requantisation each; products in one sum
} need_t;

uint32_t tl_times(uint32_t a, uint32_t b) {
    if ((a | b) >> 16 == 0) { // nearly always, and without a long multiplication
        return a * b;
    }
    const uint64_t product = (uint64_t)a * b;
    return product < UINT32_MAX ? (uint32_t)product : UINT32_MAX;
}

uint32_t tl_dense_panel(const tl_dense_t *g) {
    return 2 * (uint32_t)tl_fours(g->n_in) * (uint32_t)tl_fours(g->n_out);
}

// Of three dimensions
static uint32_t volume(const int32_t *dim) {
    return tl_times(tl_times(dim[0], dim[1]), dim[2]);
}

uint32_t tl_requant_bytes(int32_t code) {
    return code == TL_FULLY_CONNECTED ? 8 : 5;
}

static void need_channels(const tl_call_t *call, need_t *need, uint32_t channels, uint32_t taps) {
    need->channels = channels;
    need->taps = taps;
    need->bytes[TL_W] = tl_times(taps, channels);
    need->bytes[TL_B] = 4 * channels;
    need->bytes[TL_REQUANT] = tl_requant_bytes(call->code) * channels;
}

// Every position of the window along both axes holds an element of the image (or falls between two, when dilated).
static bool touches(const int32_t *in) {
    for (int i = 0; i < 2; i++, in++) {
        const int32_t out = in[3], k = in[6], stride = in[8], dilation = in[10], pad = in[12];
        if (pad > (k - 1) * dilation || (out - 1) * stride - pad >= *in) {
            return false;
        }
    }
    return true;
}

static bool pad_fits(const int32_t *in) {
    for (int i = 0; i < 3; i++, in++) {
        if (in[6] + *in > in[3]) { // what is before x, and x, is more than y
            return false;
        }
    }
    return true;
}

static bool find_need_of_window(const tl_call_t *call, need_t *need) {
    const tl_window_t *g = &call->g.window;
    const uint32_t kernel = (uint32_t)(g->k_h * g->k_w);
    switch (call->code) {
        case TL_CONV2D:
            need_channels(call, need, g->out_c, tl_times(kernel, g->in_c));
            return touches(call->g.fields);
        case TL_DEPTHWISE_CONV2D:
            need_channels(call, need, g->out_c, kernel);
            return touches(call->g.fields) && (g->out_c == g->in_c || (uint32_t)g->out_c % (uint32_t)g->in_c == 0);
        case TL_PAD:
            return pad_fits(call->g.fields);
        default: // pools
            return touches(call->g.fields) && g->out_c == g->in_c && g->dilation_h == 1 && g->dilation_w == 1;
    }
}

// Fills in what the operator needs; false where shapes, window and padding do not fit together.
static bool find_need(const tl_call_t *call, need_t *need) {
    const int32_t *field = call->g.fields;
    uint32_t x = field[0], y = x;
    bool sound = true;
    memset(need, 0, sizeof(*need));
    switch (call->code) {
        case TL_FULLY_CONNECTED:
            y = field[1];
            need_channels(call, need, y, x);
            need->bytes[TL_START] = 4 * y;
            break;
        case TL_MEAN:
        case TL_SOFTMAX:
            x = tl_times(x, field[1]);
            y = call->code == TL_MEAN ? (uint32_t)field[1] : x;
            break;
        case TL_ADD:
            need->bytes[TL_X2] = x;
            break;
        case TL_CLAMP:
        case TL_RESHAPE:
            break;
        default:
            x = volume(field);
            y = volume(field + 3);
            sound = find_need_of_window(call, need);
    }
    need->bytes[TL_X] = x;
    need->bytes[TL_Y] = y;
    return sound;
}

// ---- Checks ---------------------------------------------------------------------------------------------------------

static bool overlap(const tl_span_t *a, const tl_span_t *b) {
    uintptr_t p = (uintptr_t)a->at, q = (uintptr_t)b->at;
    return a->bytes && b->bytes && p < q + b->bytes && q < p + a->bytes;
}

static bool weighted(int32_t code) {
    return code <= TL_FULLY_CONNECTED;
}

static bool elementwise(int32_t code) {
    return code == TL_ADD || code == TL_CLAMP || code == TL_RESHAPE;
}

// y overlaps nothing that is read, scratch nothing at all.
static bool disjoint(const tl_call_t *call) {
    const tl_span_t *span = call->span, *y = &span[TL_Y];
    for (int i = 0; i < TL_Y; i++) {
        bool in_place = i <= TL_X2 && span[i].at == y->at && elementwise(call->code);
        if ((!in_place && overlap(&span[i], y)) || overlap(&span[i], &span[TL_SCRATCH])) {
            return false;
        }
    }
    return !overlap(y, &span[TL_SCRATCH]);
}

tl_status_t tl_call_check(const tl_call_t *call) {
    if (call->variant < TL_PLAIN || call->variant >= (weighted(call->code) ? TL_VARIANTS : TL_FAST)) {
        return TL_E_VARIANT;
    }
    if (!in_range(call)) {
        return TL_E_FIELD;
    }
    need_t need;
    if (!find_need(call, &need)) {
        return TL_E_GEOMETRY;
    }
    if (need.taps > MAX_TAPS) {
        return TL_E_OVERFLOW;
    }
    for (int i = 0; i < TL_SPANS; i++) {
        const tl_span_t *span = &call->span[i];
        const size_t bytes = span->bytes;
        if (i == TL_SCRATCH ? bytes && call->variant == TL_PLAIN : bytes != need.bytes[i]) {
            const bool absent = bytes == 0 && (i == TL_B || i == TL_START);
            const bool with_panel = bytes == need.bytes[i] + tl_dense_panel(&call->g.dense);
            if (!weighted(call->code) ||
                !(absent || (i == TL_START && call->code == TL_FULLY_CONNECTED && with_panel))) {
                return TL_E_BYTES;
            }
        }
        if (bytes > INT32_MAX) {
            return TL_E_BYTES;
        }
        if ((uintptr_t)span->at & 3) {
            return TL_E_BUFFER;
        }
    }
    return disjoint(call) ? TL_OK : TL_E_OVERLAP;
}

// One channel's requantisation, of `channels`.
static bool requant_sound(const tl_call_t *call, size_t channel, size_t channels) {
    const int32_t *word = call->span[TL_REQUANT].at;
    if (call->code == TL_FULLY_CONNECTED) { // by the high word: 2^-31 .. 2^16
        uint32_t high = (uint32_t)word[2 * channel + 1];
        return high >= (1023 - 31) << 20 && high < (1023 + 16) << 20;
    }
    int8_t shift = ((const int8_t *)(word + channels))[channel];
    return word[channel] >= 0 && shift >= range[SHIFT][0] && shift <= range[SHIFT][1];
}

tl_status_t tl_call_check_values(const tl_call_t *call) {
    need_t need;
    find_need(call, &need);
    const int32_t *b = call->span[TL_B].at;
    int32_t most = INT32_MAX - (int32_t)need.taps * (255 * 128);
    for (uint32_t i = 0; i < need.channels; i++) {
        if (!requant_sound(call, i, need.channels)) {
            return TL_E_REQUANT;
        }
        if (b && (b[i] > most || b[i] < -most)) {
            return TL_E_OVERFLOW;
        }
    }
    return TL_OK;
}
