// A .tlm file where it lies: its records, and how they are found. Shared by what runs a program (program.c) and what
// runs its gradients (backward.c).

#ifndef TL_TLM_H
#define TL_TLM_H

#include "program.h"

// ---- The file, as docs/SPEC.md has it: every record is aligned, so it is read where it lies -------------------------

typedef struct {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t length, crc;
    uint8_t sha256[32];
    uint32_t arena;
    uint16_t input, output, features, head, n_sections, reserved;
} tl_header_t;

typedef struct {
    uint32_t tag;
    uint32_t offset, length, count;
} tl_section_t;

typedef struct {
    uint32_t place, bytes;
    uint16_t shape[4];
    uint8_t type, region;
    int8_t zero;
    uint8_t reserved;
    uint32_t scale; // the bits of a float32
    uint32_t scales, reserved2;
} tl_tensor_t;

typedef struct {
    uint8_t code, variant;
    uint8_t window[8]; // height and width of kernel, stride, dilation; padding top, left: as in tl_window_t
    int8_t y_min, y_max;
    uint16_t x, x2, y, w, b, scratch;
    uint32_t requant, macs;
    int32_t q[8];
} tl_operator_t;

enum { TL_INT8, TL_INT32, TL_RAW };
enum { TL_IN_FILE, TL_IN_ARENA };
enum { TL_NONE = 65535, TL_MAX_RECORDS = 4096 };

// A part of the file: offsets of its first byte and of the byte after its last.
typedef struct {
    uint32_t begin, end;
} tl_extent_t;

// A file whose tables have been found, and the arena that it is to run in.
typedef struct {
    const uint8_t *base;
    const tl_header_t *header;
    const tl_tensor_t *tensors;
    const tl_operator_t *operators;
    uint32_t n_tensors, n_operators;
    tl_extent_t data;
    uint8_t *arena;
    uint32_t arena_length;
    const int32_t *places; // NULL, or where the caller has moved tensors to: see tl_run
    bool writable;         // the caller lets its weights be trained in the file
} tl_program_t;

// ---- Finding things -------------------------------------------------------------------------------------------------

// Whether so many bytes at an offset lie inside the extent, starting on a multiple of 4.
bool tl_inside(tl_extent_t extent, uint32_t offset, uint32_t bytes);

// Finds the tables in a file. Cheap, so that tl_run does it each time instead of trusting that somebody has checked.
tl_status_t tl_open_program(tl_program_t *p, const void *model, size_t length);

// The arena that a program runs in, and where its tensors have been moved to.
tl_status_t tl_open_arena(tl_program_t *p, tl_span_t arena, tl_span_t places);

// A tensor's bytes, where places or its record say.
tl_status_t tl_find_tensor(const tl_program_t *p, uint32_t index, tl_span_t *span);

// Makes an operator ready to run: everything it names found, its geometry checked.
tl_status_t tl_read_call(const tl_program_t *p, uint32_t index, tl_call_t *call);

#endif
