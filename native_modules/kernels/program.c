#include "tlm.h"

enum { CRC_FROM = 16 };

// ---- Check ----------------------------------------------------------------------------------------------------------

// A float32 that is a normal number above 0, by its bits.
static bool positive(uint32_t scale) {
    return scale >= 0x00800000u && scale < 0x7f800000u;
}

// One scale, or one per channel in the file.
static bool scales_sound(const tl_program_t *p, const tl_tensor_t *t, uint32_t channels) {
    if (t->scales == 0) {
        return positive(t->scale);
    }
    if (!tl_inside(p->data, t->scales, 4 * channels)) {
        return false;
    }
    const uint32_t *scale = (const uint32_t *)(p->base + t->scales);
    while (channels > 0 && positive(scale[channels - 1])) {
        channels--;
    }
    return channels == 0;
}

static tl_status_t check_operator(const tl_program_t *p, uint32_t index) {
    tl_call_t call;
    tl_status_t status = tl_read_call(p, index, &call);
    if (status) {
        return status;
    }
    const tl_operator_t *op = &p->operators[index];
    if (op->requant && !scales_sound(p, &p->tensors[op->w], p->tensors[op->y].shape[3])) {
        return TL_E_SCALE;
    }
    return tl_call_check_values(&call);
}

// Input, output and features are activations of the program, and the head is one of its operators or none.
static tl_status_t check_header(const tl_program_t *p) {
    const uint16_t named[] = {p->header->input, p->header->output, p->header->features};
    for (int i = 0; i < 3; i++) {
        const tl_tensor_t *t = &p->tensors[named[i]];
        if (named[i] >= p->n_tensors || t->type != TL_INT8 || t->region != TL_IN_ARENA || !positive(t->scale)) {
            return TL_E_HEADER;
        }
    }
    return p->header->head <= p->n_operators ? TL_OK : TL_E_HEADER;
}

tl_status_t tl_check(const void *model, size_t length) {
    tl_program_t p;
    tl_status_t status = tl_open_program(&p, model, length);
    if (status) {
        return status;
    }
    if (tl_crc32(0, p.base + CRC_FROM, p.header->length - CRC_FROM) != p.header->crc) {
        return TL_E_CRC;
    }
    // An arena that is only spoken of: its addresses are told from the file's, never read.
    p.arena_length = p.header->arena;
    p.arena = (uint8_t *)p.base + ((p.header->length + 7) & ~7u);
    for (uint32_t i = 0; i < p.n_tensors; i++) {
        tl_span_t span;
        if ((status = tl_find_tensor(&p, i, &span))) {
            return status + 256 * i;
        }
    }
    for (uint32_t i = 0; i < p.n_operators; i++) {
        if ((status = check_operator(&p, i))) {
            return status + 256 * i;
        }
    }
    return check_header(&p);
}

// ---- Run ------------------------------------------------------------------------------------------------------------

// Bit i of byte i / 8: whether output i lies strictly inside the clamp, so that a gradient passes.
static tl_status_t write_mask(const tl_program_t *p, const tl_operator_t *op, const tl_span_t *y, uint32_t place) {
    if (!tl_inside((tl_extent_t){0, p->arena_length}, place, (y->bytes + 7) / 8)) {
        return TL_E_MASKS;
    }
    const int32_t min = op->y_min, max = op->y_max;
    const int8_t *v = y->at;
    uint8_t *mask = p->arena + place;
    for (size_t i = 0; i < y->bytes; i += 8, mask++) {
        uint32_t bits = 0;
        for (size_t j = 0; j < 8 && i + j < y->bytes; j++, v++) {
            bits |= (uint32_t)(*v > min && *v < max) << j;
        }
        *mask = (uint8_t)bits;
    }
    return TL_OK;
}

tl_status_t tl_run(
    const void *model, size_t length, tl_span_t arena, int32_t first, int32_t last, tl_span_t places, tl_span_t masks) {
    tl_program_t p;
    tl_status_t status = tl_open_program(&p, model, length);
    if (status || (status = tl_open_arena(&p, arena, places))) {
        return status;
    }
    if (first < 0 || first > last || (uint32_t)last > p.n_operators) {
        return TL_E_RANGE;
    }
    const int32_t *mask = masks.at;
    if (mask && (masks.bytes != 4 * p.n_operators || (uintptr_t)mask & 3)) {
        return TL_E_MASKS;
    }
    for (int32_t i = first; i < last; i++) {
        tl_call_t call;
        if ((status = tl_read_call(&p, i, &call))) {
            return status + 256 * i;
        }
        tl_call_run(&call);
        if (mask && mask[i] >= 0 && (status = write_mask(&p, &p.operators[i], &call.span[TL_Y], mask[i]))) {
            return status + 256 * i;
        }
    }
    return TL_OK;
}
