#include <string.h>

#include "program.h"

// ---- The file, as docs/SPEC.md has it: every record is aligned, so it is read where it lies -------------------------

#define TAG(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

typedef struct {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t length, crc;
    uint8_t sha256[32];
    uint32_t arena;
    uint16_t input, output, features, head, n_sections, reserved;
} header_t;

typedef struct {
    uint32_t tag;
    uint32_t offset, length, count;
} section_t;

typedef struct {
    uint32_t place, bytes;
    uint16_t shape[4];
    uint8_t type, region;
    int8_t zero;
    uint8_t reserved;
    uint32_t scale; // the bits of a float32
    uint32_t scales, reserved2;
} tensor_t;

typedef struct {
    uint8_t code, variant;
    uint8_t window[8]; // height and width of kernel, stride, dilation; padding top, left: as in tl_window_t
    int8_t y_min, y_max;
    uint16_t x, x2, y, w, b, scratch;
    uint32_t requant, macs;
    int32_t q[8];
} operator_t;

enum { INT8, INT32, RAW };
enum { IN_FILE, IN_ARENA };
enum { NONE = 65535, MAX_RECORDS = 4096, CRC_FROM = 16 };

// A part of the file: offsets of its first byte and of the byte after its last.
typedef struct {
    uint32_t begin, end;
} extent_t;

// A file whose tables have been found, and the arena that it is to run in.
typedef struct {
    const uint8_t *base;
    const header_t *header;
    const tensor_t *tensors;
    const operator_t *operators;
    uint32_t n_tensors, n_operators;
    extent_t data;
    uint8_t *arena;
    uint32_t arena_length;
    const int32_t *places; // NULL, or where the caller has moved tensors to
} program_t;

static bool inside(extent_t extent, uint32_t offset, uint32_t bytes) {
    return offset % 4 == 0 && offset >= extent.begin && offset <= extent.end && bytes <= extent.end - offset;
}

// ---- Header and sections --------------------------------------------------------------------------------------------

static tl_status_t read_section(program_t *p, const section_t *section) {
    const void *records = p->base + section->offset;
    if (section->tag == TAG('T', 'E', 'N', 'S') && !p->tensors) {
        p->tensors = records;
        p->n_tensors = section->count;
        return section->count <= MAX_RECORDS && section->length == section->count * sizeof(tensor_t) ? TL_OK
                                                                                                     : TL_E_COUNT;
    }
    if (section->tag == TAG('O', 'P', 'S', ' ') && !p->operators) {
        p->operators = records;
        p->n_operators = section->count;
        return section->count <= MAX_RECORDS && section->length == section->count * sizeof(operator_t) ? TL_OK
                                                                                                       : TL_E_COUNT;
    }
    if (section->tag == TAG('D', 'A', 'T', 'A') && !p->data.begin) {
        p->data = (extent_t){section->offset, section->offset + section->length};
    }
    return TL_OK;
}

// Finds the tables in a file. Cheap, so that tl_run does it each time instead of trusting that somebody has checked.
static tl_status_t open_program(program_t *p, const void *model, size_t length) {
    const header_t *header = model;
    memset(p, 0, sizeof(*p));
    if ((uintptr_t)model & 3) {
        return TL_E_ALIGN;
    }
    if (length < sizeof(header_t)) {
        return TL_E_LENGTH;
    }
    if (header->magic != TAG('T', 'L', 'M', 'L')) {
        return TL_E_MAGIC;
    }
    if (header->major != 1) {
        return TL_E_VERSION;
    }
    uint32_t tables = sizeof(header_t) + header->n_sections * sizeof(section_t);
    if (header->length > length || header->length > INT32_MAX || header->length < tables) {
        return TL_E_LENGTH;
    }
    p->base = model;
    p->header = header;
    const section_t *section = (const section_t *)(header + 1);
    for (uint32_t i = 0; i < header->n_sections; i++) {
        tl_status_t status = TL_E_SECTION;
        if (section[i].offset % 8 == 0 &&
            inside((extent_t){tables, header->length}, section[i].offset, section[i].length)) {
            status = read_section(p, &section[i]);
        }
        if (status) {
            return status + 256 * i;
        }
    }
    return p->tensors && p->operators && p->data.begin ? TL_OK : TL_E_SECTION + 256 * header->n_sections;
}

// ---- Tensors --------------------------------------------------------------------------------------------------------

// A tensor's bytes, where places or its record say.
static tl_status_t find_tensor(const program_t *p, uint32_t index, tl_span_t *span) {
    const tensor_t *t = &p->tensors[index];
    bool moved = p->places && p->places[index] >= 0;
    uint32_t place = moved ? (uint32_t)p->places[index] : t->place;
    if (t->type > RAW || t->region > IN_ARENA) {
        return TL_E_TYPE;
    }
    if (t->type != RAW) {
        uint64_t elements = (uint64_t)((uint32_t)t->shape[0] * t->shape[1]) * ((uint32_t)t->shape[2] * t->shape[3]);
        if (elements == 0 || elements > INT32_MAX || elements * (t->type == INT32 ? 4 : 1) != t->bytes) {
            return TL_E_SHAPE;
        }
    }
    bool in_arena = moved || t->region == IN_ARENA;
    if (!inside(in_arena ? (extent_t){0, p->arena_length} : p->data, place, t->bytes)) {
        return TL_E_PLACE;
    }
    span->at = (in_arena ? p->arena : (uint8_t *)p->base) + place;
    span->bytes = t->bytes;
    return TL_OK;
}

// ---- Operators ------------------------------------------------------------------------------------------------------

// What an operator's operand must be.
typedef struct {
    uint8_t type, region;
} operand_t;

enum { ANYWHERE = IN_ARENA + 1 };

static const operand_t operands[TL_SPANS] = {
    [TL_X] = {INT8, ANYWHERE},
    [TL_X2] = {INT8, ANYWHERE},
    [TL_W] = {INT8, IN_FILE},
    [TL_B] = {INT32, IN_FILE},
    [TL_Y] = {INT8, IN_ARENA},
    [TL_SCRATCH] = {RAW, IN_ARENA},
};

static const tensor_t no_tensor;

// An operator's operand: its record and its bytes, or no_tensor and none.
static tl_status_t find_operand(
    const program_t *p, operand_t want, uint16_t index, const tensor_t **t, tl_span_t *span) {
    *t = &no_tensor;
    *span = (tl_span_t){NULL, 0};
    if (index == NONE) {
        return TL_OK;
    }
    if (index >= p->n_tensors) {
        return TL_E_TENSOR;
    }
    *t = &p->tensors[index];
    if ((*t)->type != want.type || (want.region != ANYWHERE && (*t)->region != want.region)) {
        return TL_E_TENSOR;
    }
    return find_tensor(p, index, span);
}

static bool has_shape(const tensor_t *t, int32_t a, int32_t b, int32_t c, int32_t d) {
    return t->shape[0] == a && t->shape[1] == b && t->shape[2] == c && t->shape[3] == d;
}

// The shapes of x and y without the batch, as tl_window_t and tl_pad_t begin.
static int32_t *put_shapes(int32_t *field, const tensor_t *x, const tensor_t *y) {
    for (int i = 1; i < 4; i++) {
        field[i - 1] = x->shape[i];
        field[i + 2] = y->shape[i];
    }
    return field + 6;
}

// The end of tl_window_t, tl_dense_t and more: zero points and clamp.
static int32_t *put_clamp(int32_t *field, const operator_t *op, const tensor_t *x, const tensor_t *y) {
    field[0] = x->zero;
    field[1] = y->zero;
    field[2] = op->y_min;
    field[3] = op->y_max;
    return field + 4;
}

// Gathers the geometry of an operator from its record and the shapes of its tensors.
static tl_status_t read_geometry(const operator_t *op, const tensor_t *t[TL_SPANS], tl_call_t *call) {
    const tensor_t *x = t[TL_X], *y = t[TL_Y], *w = t[TL_W];
    const tl_window_t *g = &call->g.window;
    const int32_t *q = op->q;
    int32_t *field = call->g.fields;
    switch (op->code) {
        case TL_FULLY_CONNECTED:
            field[0] = w->shape[3];
            field[1] = w->shape[0];
            put_clamp(field + 2, op, x, y);
            return has_shape(w, w->shape[0], 1, 1, w->shape[3]) ? TL_OK : TL_E_GEOMETRY;
        case TL_ADD:
            field[0] = (int32_t)y->bytes;
            put_clamp(field + 2, op, t[TL_X2], y);
            field[1] = x->zero;
            memcpy(field + 6, q, 7 * sizeof(*q));
            return TL_OK;
        case TL_MEAN:
            call->g.mean = (tl_mean_t){x->shape[1] * x->shape[2], x->shape[3], x->zero, y->zero, q[0], q[1]};
            return TL_OK;
        case TL_PAD:
            field = put_shapes(field, x, y);
            memcpy(field, q + 1, 3 * sizeof(*q));
            field[3] = q[0];
            return TL_OK;
        case TL_CLAMP:
            field[0] = (int32_t)y->bytes;
            field = put_clamp(field + 1, op, x, y);
            memcpy(field, q, 2 * sizeof(*q));
            return TL_OK;
        case TL_SOFTMAX:
            call->g.softmax = (tl_softmax_t){x->shape[1] * x->shape[2], x->shape[3], q[0], q[1]};
            return TL_OK;
        case TL_RESHAPE:
            call->g.n = (int32_t)y->bytes;
            return TL_OK;
    }
    field = put_shapes(field, x, y);
    for (int i = 0; i < 8; i++) {
        *field++ = op->window[i];
    }
    put_clamp(field, op, x, y);
    bool sound = true;
    if (op->code == TL_CONV2D) {
        sound = has_shape(w, g->out_c, g->k_h, g->k_w, g->in_c);
    } else if (op->code == TL_DEPTHWISE_CONV2D) {
        sound = has_shape(w, 1, g->k_h, g->k_w, g->out_c);
    }
    return sound ? TL_OK : TL_E_GEOMETRY;
}

// Makes an operator ready to run: everything it names found, its geometry checked.
static tl_status_t read_call(const program_t *p, uint32_t index, tl_call_t *call) {
    const operator_t *op = &p->operators[index];
    const uint16_t names[TL_SPANS] = {op->x, op->x2, op->w, op->b, NONE, op->y, op->scratch};
    const tensor_t *t[TL_SPANS];
    call->code = op->code;
    if (tl_call_fields(op->code) == 0) {
        return TL_E_CODE;
    }
    if (op->variant != 0) {
        return TL_E_VARIANT;
    }
    for (int i = 0; i < TL_SPANS; i++) {
        tl_status_t status = find_operand(p, operands[i], names[i], &t[i], &call->span[i]);
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
        if (!inside(p->data, op->requant, bytes)) {
            return TL_E_REQUANT;
        }
        call->span[TL_REQUANT] = (tl_span_t){(void *)(p->base + op->requant), bytes};
    }
    return tl_call_check(call);
}

// ---- Check ----------------------------------------------------------------------------------------------------------

// A float32 that is a normal number above 0, by its bits.
static bool positive(uint32_t scale) {
    return scale >= 0x00800000u && scale < 0x7f800000u;
}

// One scale, or one per channel in the file.
static bool scales_sound(const program_t *p, const tensor_t *t, uint32_t channels) {
    if (t->scales == 0) {
        return positive(t->scale);
    }
    if (!inside(p->data, t->scales, 4 * channels)) {
        return false;
    }
    const uint32_t *scale = (const uint32_t *)(p->base + t->scales);
    while (channels > 0 && positive(scale[channels - 1])) {
        channels--;
    }
    return channels == 0;
}

static tl_status_t check_operator(const program_t *p, uint32_t index) {
    tl_call_t call;
    tl_status_t status = read_call(p, index, &call);
    if (status) {
        return status;
    }
    const operator_t *op = &p->operators[index];
    if (op->requant && !scales_sound(p, &p->tensors[op->w], p->tensors[op->y].shape[3])) {
        return TL_E_SCALE;
    }
    return tl_call_check_values(&call);
}

// Input, output and features are activations of the program, and the head is one of its operators or none.
static tl_status_t check_header(const program_t *p) {
    const uint16_t named[] = {p->header->input, p->header->output, p->header->features};
    for (int i = 0; i < 3; i++) {
        const tensor_t *t = &p->tensors[named[i]];
        if (named[i] >= p->n_tensors || t->type != INT8 || t->region != IN_ARENA || !positive(t->scale)) {
            return TL_E_HEADER;
        }
    }
    return p->header->head <= p->n_operators ? TL_OK : TL_E_HEADER;
}

tl_status_t tl_check(const void *model, size_t length) {
    program_t p;
    tl_status_t status = open_program(&p, model, length);
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
        if ((status = find_tensor(&p, i, &span))) {
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

tl_status_t tl_run(const void *model, size_t length, void *arena, size_t arena_length, int32_t first, int32_t last,
    const int32_t *places, size_t places_bytes) {
    program_t p;
    tl_status_t status = open_program(&p, model, length);
    if (status) {
        return status;
    }
    if ((uintptr_t)arena & 3) {
        return TL_E_ARENA;
    }
    if (first < 0 || first > last || (uint32_t)last > p.n_operators) {
        return TL_E_RANGE;
    }
    if (places && (places_bytes != 4 * p.n_tensors || (uintptr_t)places & 3)) {
        return TL_E_PLACES;
    }
    p.arena = arena;
    p.arena_length = arena_length < INT32_MAX ? arena_length : INT32_MAX;
    p.places = places;
    for (int32_t i = first; i < last; i++) {
        tl_call_t call;
        if ((status = read_call(&p, i, &call))) {
            return status + 256 * i;
        }
        tl_call_run(&call);
    }
    return TL_OK;
}
