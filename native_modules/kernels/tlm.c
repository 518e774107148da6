#include <string.h>

#include "tlm.h"

#define TAG(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

bool tl_inside(tl_extent_t extent, uint32_t offset, uint32_t bytes) {
    return offset % 4 == 0 && offset >= extent.begin && offset <= extent.end && bytes <= extent.end - offset;
}

// ---- Header and sections --------------------------------------------------------------------------------------------

static tl_status_t read_section(tl_program_t *p, const tl_section_t *section) {
    const void *records = p->base + section->offset;
    uint32_t size = 0; // of one
    if (section->tag == TAG('T', 'E', 'N', 'S') && !p->tensors) {
        p->tensors = records;
        p->n_tensors = section->count;
        size = sizeof(tl_tensor_t);
    } else if (section->tag == TAG('O', 'P', 'S', ' ') && !p->operators) {
        p->operators = records;
        p->n_operators = section->count;
        size = sizeof(tl_operator_t);
    } else if (section->tag == TAG('D', 'A', 'T', 'A') && !p->data.begin) {
        p->data = (tl_extent_t){section->offset, section->offset + section->length};
    }
    const bool sound = section->count <= TL_MAX_RECORDS && section->length == section->count * size;
    return size == 0 || sound ? TL_OK : TL_E_COUNT;
}

tl_status_t tl_open_program(tl_program_t *p, const void *model, size_t length) {
    const tl_header_t *header = model;
    memset(p, 0, sizeof(*p));
    if ((uintptr_t)model & 3) {
        return TL_E_ALIGN;
    }
    if (length < sizeof(tl_header_t)) {
        return TL_E_LENGTH;
    }
    if (header->magic != TAG('T', 'L', 'M', 'L')) {
        return TL_E_MAGIC;
    }
    if (header->major != 1) {
        return TL_E_VERSION;
    }
    uint32_t tables = sizeof(tl_header_t) + header->n_sections * sizeof(tl_section_t);
    if (header->length > length || header->length > INT32_MAX || header->length < tables) {
        return TL_E_LENGTH;
    }
    p->base = model;
    p->header = header;
    const tl_section_t *section = (const tl_section_t *)(header + 1);
    for (uint32_t i = 0; i < header->n_sections; i++) {
        tl_status_t status = TL_E_SECTION;
        if (section[i].offset % 8 == 0 &&
            tl_inside((tl_extent_t){tables, header->length}, section[i].offset, section[i].length)) {
            status = read_section(p, &section[i]);
        }
        if (status) {
            return status + 256 * i;
        }
    }
    return p->tensors && p->operators && p->data.begin ? TL_OK : TL_E_SECTION + 256 * header->n_sections;
}

tl_status_t tl_open_arena(tl_program_t *p, tl_span_t arena, tl_span_t places) {
    if ((uintptr_t)arena.at & 3) {
        return TL_E_ARENA;
    }
    if (places.at && (places.bytes != 4 * p->n_tensors || (uintptr_t)places.at & 3)) {
        return TL_E_PLACES;
    }
    p->arena = arena.at;
    p->arena_length = arena.bytes < INT32_MAX ? arena.bytes : INT32_MAX;
    p->places = places.at;
    return TL_OK;
}

// ---- Tensors --------------------------------------------------------------------------------------------------------

// Whether places says that a tensor is not as it came.
static bool is_changed(const tl_program_t *p, uint32_t index) {
    return p->places && index != TL_NONE && p->places[index] != TL_AS_IT_CAME;
}

tl_status_t tl_find_tensor(const tl_program_t *p, uint32_t index, tl_span_t *span) {
    const tl_tensor_t *t = &p->tensors[index];
    bool moved = p->places && p->places[index] >= 0;
    uint32_t place = moved ? (uint32_t)p->places[index] : t->place, size = t->bytes;
    if (t->type > TL_RAW || t->region > TL_IN_ARENA) {
        return TL_E_TYPE;
    }
    if (t->type == TL_RAW && moved) { // less scratch does, too
        const uint32_t shift = place & 3;
        place = place << 2 >> 4 << 2; // without TL_PACKED
        size = shift == TL_TO_THE_END ? p->arena_length - place : size >> shift;
    } else if (t->type != TL_RAW) {
        const uint16_t *n = t->shape;
        const uint32_t row = t->type == TL_INT32 ? 4 * n[3] : n[3];
        const uint32_t bytes = tl_times(tl_times(n[0], n[1]), tl_times(n[2], row));
        if (bytes == 0 || bytes > INT32_MAX || bytes != t->bytes) {
            return TL_E_SHAPE;
        }
    }
    bool in_arena = moved || t->region == TL_IN_ARENA;
    if (!tl_inside(in_arena ? (tl_extent_t){0, p->arena_length} : p->data, place, size)) {
        return TL_E_PLACE;
    }
    span->at = (in_arena ? p->arena : (uint8_t *)p->base) + place;
    span->bytes = size;
    return TL_OK;
}

// ---- Operators ------------------------------------------------------------------------------------------------------

// What an operator's operand must be, and where in the operator's record its index stands.
typedef struct {
    uint8_t type, region, at;
} operand_t;

enum { ANYWHERE = TL_IN_ARENA + 1 };

static const operand_t operands[TL_SPANS] = {
    [TL_X] = {TL_INT8, ANYWHERE, offsetof(tl_operator_t, x)},
    [TL_X2] = {TL_INT8, ANYWHERE, offsetof(tl_operator_t, x2)},
    [TL_W] = {TL_INT8, TL_IN_FILE, offsetof(tl_operator_t, w)},
    [TL_B] = {TL_INT32, TL_IN_FILE, offsetof(tl_operator_t, b)},
    [TL_Y] = {TL_INT8, TL_IN_ARENA, offsetof(tl_operator_t, y)},
    [TL_SCRATCH] = {TL_RAW, TL_IN_ARENA, offsetof(tl_operator_t, scratch)},
};

static const tl_tensor_t no_tensor;

// An operator's operand: its record and its bytes, or no_tensor and none.
static tl_status_t find_operand(
    const tl_program_t *p, const tl_operator_t *op, int i, const tl_tensor_t **t, tl_span_t *span) {
    const operand_t want = operands[i];
    const uint16_t index = *(const uint16_t *)(const void *)((const uint8_t *)op + want.at);
    *t = &no_tensor;
    *span = (tl_span_t){NULL, 0};
    if (!want.at || index == TL_NONE) {
        return TL_OK;
    }
    if (index >= p->n_tensors) {
        return TL_E_TENSOR;
    }
    *t = &p->tensors[index];
    if ((*t)->type != want.type || (want.region != ANYWHERE && (*t)->region != want.region)) {
        return TL_E_TENSOR;
    }
    return tl_find_tensor(p, index, span);
}

static bool has_shape(const tl_tensor_t *t, int32_t a, int32_t b, int32_t c, int32_t d) {
    return t->shape[0] == a && t->shape[1] == b && t->shape[2] == c && t->shape[3] == d;
}

// Where a field of a geometry comes from: a record, and an offset in it
enum { OP = 0, OF_X = 64, OF_Y = 128, OF_W = 192, RECORD = 192 }; // OF_W: of an add, x2
#define WINDOW(i) (OP + offsetof(tl_operator_t, window) + (i))
#define Q(i) (OP + offsetof(tl_operator_t, q) + 4 * (i))
#define SHAPE(i) (offsetof(tl_tensor_t, shape) + 2 * (i))
#define SHAPES OF_X + SHAPE(1), OF_X + SHAPE(2), OF_X + SHAPE(3), OF_Y + SHAPE(1), OF_Y + SHAPE(2), OF_Y + SHAPE(3)
#define BYTES offsetof(tl_tensor_t, bytes)
#define ZERO offsetof(tl_tensor_t, zero)
#define CLAMP OP + offsetof(tl_operator_t, y_min), OP + offsetof(tl_operator_t, y_max)

// In the order of each geometry's struct, as tl_call_first says
static const uint8_t sources[] = {
    SHAPES,
    WINDOW(0),
    WINDOW(1),
    WINDOW(2),
    WINDOW(3),
    WINDOW(4),
    WINDOW(5),
    WINDOW(6),
    WINDOW(7),
    OF_X + ZERO,
    OF_Y + ZERO,
    CLAMP, // window
    OF_W + SHAPE(3),
    OF_W + SHAPE(0),
    OF_X + ZERO,
    OF_Y + ZERO,
    CLAMP, // dense
    OF_X + SHAPE(1),
    OF_X + SHAPE(3),
    OF_X + ZERO,
    OF_Y + ZERO,
    Q(0),
    Q(1), // mean, less the width
    OF_Y + BYTES,
    OF_X + ZERO,
    OF_W + ZERO,
    OF_Y + ZERO,
    CLAMP,
    Q(0),
    Q(1),
    Q(2),
    Q(3),
    Q(4),
    Q(5),
    Q(6), // add
    SHAPES,
    Q(1),
    Q(2),
    Q(3),
    Q(0), // pad
    OF_Y + BYTES,
    OF_X + ZERO,
    OF_Y + ZERO,
    CLAMP,
    Q(0),
    Q(1), // clamp, and reshape: its first
    OF_X + SHAPE(1),
    OF_X + SHAPE(3),
    Q(0),
    Q(1), // softmax, less the width
};

// n > 0 fields. A function of its own has all registers for itself.
static __attribute__((noinline)) void read_fields(
    const void *const records[], const uint8_t *source, int32_t n, int32_t *field) {
    do {
        const uint32_t offset = *source % 64, record = *source / 64;
        const uint8_t *at = (const uint8_t *)records[record] + offset;
        int32_t v = *(const int8_t *)at;
        if (offset >= Q(0) || *source == OF_Y + BYTES) {
            v = *(const int32_t *)(const void *)at;
        } else if (record && offset != ZERO) {
            v = *(const uint16_t *)(const void *)at;
        } else if (offset < WINDOW(8)) {
            v = *at;
        }
        *field++ = v;
        source++;
    } while (--n > 0);
}

// Gathers the geometry of an operator from its record and the records of its tensors.
static tl_status_t read_geometry(const tl_operator_t *op, const tl_tensor_t *t[TL_SPANS], tl_call_t *call) {
    const tl_tensor_t *x = t[TL_X], *w = t[TL_W];
    const tl_window_t *g = &call->g.window;
    const void *records[] = {op, x, t[TL_Y], op->code == TL_ADD ? t[TL_X2] : w};
    read_fields(records, sources + tl_call_first(op->code), tl_call_fields(op->code), call->g.fields);
    switch (op->code) {
        case TL_MEAN:
        case TL_SOFTMAX:
            call->g.n *= x->shape[2];
            break;
        case TL_CONV2D:
            return has_shape(w, g->out_c, g->k_h, g->k_w, g->in_c) ? TL_OK : TL_E_GEOMETRY;
        case TL_DEPTHWISE_CONV2D:
            return has_shape(w, 1, g->k_h, g->k_w, g->out_c) ? TL_OK : TL_E_GEOMETRY;
        case TL_FULLY_CONNECTED:
            return w->shape[1] == 1 && w->shape[2] == 1 ? TL_OK : TL_E_GEOMETRY;
    }
    return TL_OK;
}

tl_status_t tl_read_call(const tl_program_t *p, uint32_t index, tl_call_t *call) {
    const tl_operator_t *op = &p->operators[index];
    const tl_tensor_t *t[TL_SPANS];
    call->code = op->code;
    call->variant = op->variant;
    if (tl_call_fields(op->code) == 0) {
        return TL_E_CODE;
    }
    for (int i = 0; i < TL_SPANS; i++) {
        tl_status_t status = find_operand(p, op, i, &t[i], &call->span[i]);
        if (status) {
            return status;
        }
    }
    tl_status_t status = read_geometry(op, t, call);
    if (status) {
        return status;
    }
    if (op->requant) {
        uint32_t bytes = tl_requant_bytes(op->code) * t[TL_Y]->shape[3];
        if (!tl_inside(p->data, op->requant, bytes)) {
            return TL_E_REQUANT;
        }
        call->span[TL_REQUANT] = (tl_span_t){(void *)(p->base + op->requant), bytes};
    }
    call->changed = is_changed(p, op->w) || is_changed(p, op->b);
#ifndef TL_LEAN // which only goes back (gradient.h)
    call->packed = is_changed(p, op->scratch) && p->places[op->scratch] >= TL_PACKED;
#endif
    if (op->code == TL_FULLY_CONNECTED) {
        uint32_t start = (uint32_t)op->q[0],
                 bytes = 4 * t[TL_Y]->shape[3] + (op->q[1] ? tl_dense_panel(&call->g.dense) : 0);
        if (op->x2 != TL_NONE || (start && !tl_inside(p->data, start, bytes))) {
            return TL_E_TENSOR;
        }
        if (start && !call->changed) { // or it does not hold
            call->span[TL_START] = (tl_span_t){(void *)(p->base + start), bytes};
        }
    }
    return tl_call_check(call);
}
