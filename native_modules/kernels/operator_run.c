#include <string.h>

#include "program.h"

#define REACH (1 << 20) // of sums; half of it where they are rounded once

// Whether what the host has proved of the file's weights holds for any others: windows so small that no sum of theirs
// leaves what tl_requant_t (micro.h) holds. Larger ones would have to be looked through each time.
static bool is_small(const tl_call_t *call, const tl_layer_t *layer) {
    const tl_window_t *g = &call->g.window;
    const int32_t n = g->k_h * g->k_w * (call->code == TL_DEPTHWISE_CONV2D ? 1 : g->in_c);
    for (int32_t o = 0; o < g->out_c; o++) {
        const int32_t room = (REACH >> (layer->shift[o] == 0)) - n * (127 * 255), v = layer->b ? layer->b[o] : 0;
        if (v >= room || v <= -room) {
            return false;
        }
    }
    return true;
}

void tl_call_run(const tl_call_t *call) {
    const tl_span_t *span = call->span;
    const tl_window_t *window = &call->g.window;
    const int8_t *x = span[TL_X].at;
    int8_t *y = span[TL_Y].at;
    tl_layer_t layer = {x, span[TL_W].at, y, span[TL_B].at, span[TL_REQUANT].at, NULL};
    tl_work_t work = {
        call->variant, span[TL_SCRATCH].at, (uint32_t)span[TL_SCRATCH].bytes, call->packed, span[TL_START].at, NULL};
    if (call->code <= TL_DEPTHWISE_CONV2D) {
        layer.shift = (const int8_t *)(layer.mult + window->out_c);
        if (call->changed && work.variant == TL_FAST_SMALL && !is_small(call, &layer)) {
            work.variant = TL_FAST;
        }
    }
    if (span[TL_START].bytes > 4 * (size_t)call->g.dense.n_out) {
        work.panel = (const uint32_t *)work.start + call->g.dense.n_out;
    }
    switch (call->code) {
        case TL_CONV2D:
            tl_conv2d_s8(window, &layer, &work);
            break;
        case TL_DEPTHWISE_CONV2D:
            tl_depthwise_conv2d_s8(window, &layer, &work);
            break;
        case TL_FULLY_CONNECTED:
            tl_fully_connected_s8(&call->g.dense, &layer, &work);
            break;
        case TL_AVG_POOL:
        case TL_MAX_POOL:
            tl_pool_s8(window, x, y, call->code == TL_AVG_POOL);
            break;
        case TL_MEAN:
            tl_mean_s8(&call->g.mean, x, y);
            break;
        case TL_ADD:
            tl_add_s8(&call->g.add, x, span[TL_X2].at, y);
            break;
        case TL_PAD:
            tl_pad_s8(&call->g.pad, x, y);
            break;
        case TL_CLAMP:
            tl_clamp_s8(&call->g.clamp, x, y);
            break;
        case TL_SOFTMAX:
            tl_softmax_s8(&call->g.softmax, x, y);
            break;
        case TL_RESHAPE:
            memmove(y, x, span[TL_Y].bytes);
            break;
    }
}

tl_status_t tl_op(const tl_span_t *params, const tl_span_t spans[TL_SPANS]) {
    const int32_t *param = params->at;
    if (params->bytes < 4 || (uintptr_t)param & 3) {
        return TL_E_PARAMS;
    }
    tl_call_t call = {.code = param[0] & 255, .variant = param[0] >> 8};
    int32_t fields = tl_call_fields(call.code);
    if (fields == 0) {
        return TL_E_CODE;
    }
    if (params->bytes != 4 * (1 + (size_t)fields)) {
        return TL_E_PARAMS;
    }
    memcpy(&call.g, param + 1, 4 * fields);
    memcpy(call.span, spans, sizeof(call.span));
    tl_status_t status = tl_call_check(&call);
    if (status == TL_OK) {
        status = tl_call_check_values(&call);
    }
    if (status == TL_OK) {
        tl_call_run(&call);
    }
    return status;
}
