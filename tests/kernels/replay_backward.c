// Replays backward.bin (tests/golden/README.md) through tl_run, tl_backward, losses, views, maps; says in TAP what
// came:
//     replay_backward backward.bin [ROUNDS]
// and with ROUNDS, runs each pass so often with plan, state, places and arena damaged before the way back, and each
// view with params damaged: whatever it answers, a sanitizer must have nothing to say. Every array lies in a block of
// its own and of its very length, so that a sanitizer sees the first byte beyond.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "augment.h"
#include "backward.h"
#include "filter.h"

// A backward pass; in a loss, the first five are params, x, w, b and the bytes of scratch, ARENA_AFTER is dx.
enum { MODEL, ARENA, PLACES, MASKS, PLAN, STATE, ARENA_AFTER, STATE_AFTER, ARRAYS };
enum { PARAMS, X, W, B, SCRATCH };
enum { BACKWARD, HEAD_LOSS, SOFTMAX_LOSS, AUGMENT, ACTIVITY, CHANNEL_MAPS, FILTERED };

static uint32_t word(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static tl_span_t block(size_t n) {
    return n ? (tl_span_t){calloc(1, n), n} : (tl_span_t){NULL, 0};
}

// What a filtered pass keeps of the input of its first record's operator
static tl_status_t patches(const tl_span_t *a) {
    const tl_plan_t *plan = a[PLAN].at;
    int32_t words[3] = {plan->op, plan->flags & TL_FILTER_2 ? 2 : 4, plan->dx2};
    const tl_span_t params = {words, sizeof(words)}, spans[3] = {a[MODEL], a[PLACES], a[ARENA]};
    return tl_patches(&params, spans);
}

static tl_status_t forward(uint32_t kind, const tl_span_t *a) {
    const tl_status_t status = kind == FILTERED ? patches(a) : TL_OK;
    if (status) {
        return status;
    }
    return tl_run(a[MODEL].at, a[MODEL].bytes, a[ARENA], 0, (int32_t)(a[MASKS].bytes / 4), a[PLACES], a[MASKS]);
}

static tl_status_t back(const tl_span_t *a) {
    const tl_span_t spans[TL_BACK_SPANS] = {[TL_BACK_MODEL] = a[MODEL],
        [TL_BACK_ARENA] = a[ARENA],
        [TL_BACK_PLACES] = a[PLACES],
        [TL_BACK_PLAN] = a[PLAN],
        [TL_BACK_STATE] = a[STATE]};
    return tl_backward(spans);
}

// What is no pass: its answer goes to dx.
static tl_status_t call(uint32_t kind, const tl_span_t *a, tl_span_t dx) {
    const tl_span_t scratch = block(a[SCRATCH].bytes ? word(a[SCRATCH].at) : 0);
    tl_status_t status;
    if (kind == AUGMENT) {
        const tl_span_t spans[3] = {a[X], dx, a[STATE]};
        status = tl_augment(&a[PARAMS], spans);
    } else if (kind == ACTIVITY) {
        const tl_span_t spans[2] = {a[X], dx};
        status = tl_activity(&a[PARAMS], spans);
    } else if (kind == CHANNEL_MAPS) {
        const tl_span_t spans[3] = {a[X], a[W], dx};
        status = tl_channel_maps(&a[PARAMS], spans);
    } else if (kind == HEAD_LOSS) {
        const tl_span_t spans[6] = {a[X], a[W], a[B], dx, a[STATE], scratch};
        status = tl_head_loss(&a[PARAMS], spans);
    } else {
        const tl_span_t spans[4] = {a[X], dx, a[STATE], scratch};
        status = tl_softmax_loss(&a[PARAMS], spans);
    }
    free(scratch.at);
    return status;
}

static uint32_t state = 1;

static uint32_t chance(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % below;
}

// Overwrites some words by telling values.
static void damage(tl_span_t span) {
    static const int32_t telling[] = {0, 1, 2, 3, 4, 5, 8, 16, 255, 256, 1000, 65536, -1, -2, -4, INT32_MAX, INT32_MIN};
    if (span.bytes >= 4) {
        int32_t *word_at = (int32_t *)span.at + chance((uint32_t)span.bytes / 4);
        const uint32_t kind = chance(4);
        *word_at = kind == 0   ? (int32_t)chance(UINT32_MAX)
                   : kind == 1 ? (int32_t)((uint32_t)*word_at + 4 * chance(64) - 128)
                               : telling[chance(sizeof(telling) / sizeof(*telling))];
    }
}

static int passes(uint32_t kind) {
    return kind == BACKWARD || kind == FILTERED;
}

// One damaged run. Gives its status.
static tl_status_t damaged(uint32_t kind, const tl_span_t *a) {
    tl_span_t copy[ARRAYS];
    for (int i = 0; i < ARRAYS; i++) {
        copy[i] = block(a[i].bytes);
        if (a[i].bytes) {
            memcpy(copy[i].at, a[i].at, a[i].bytes);
        }
    }
    const int which[] = {PLAN, PLAN, PLAN, STATE, PLACES, ARENA};
    if (passes(kind)) {
        forward(kind, copy);
    }
    for (uint32_t i = 0; i <= chance(3); i++) {
        damage(copy[passes(kind) ? which[chance(sizeof(which) / sizeof(*which))] : PARAMS]);
    }
    if (kind == FILTERED && patches(copy) != TL_OK) { // of the damaged plan
        damage(copy[PLAN]);
    }
    const tl_status_t status = passes(kind) ? back(copy) : call(kind, copy, copy[ARENA_AFTER]);
    for (int i = 0; i < ARRAYS; i++) {
        free(copy[i].at);
    }
    return status;
}

// What a pass used its scratch for is each processor's own.
static void clear_scratch(tl_span_t arena, tl_span_t plan) {
    for (size_t i = 0; i < plan.bytes / sizeof(tl_plan_t); i++) {
        const tl_plan_t *p = (const tl_plan_t *)plan.at + i;
        memset((char *)arena.at + p->scratch, 0, (size_t)p->scratch_bytes);
    }
}

// Runs the record behind its length word. Gives its status; *equal: whether it answered as the record says.
static tl_status_t replay(const uint8_t *record, int rounds, int *refused, int *equal) {
    tl_span_t a[ARRAYS];
    const uint8_t *from = record + 4 + 4 * ARRAYS;
    for (int i = 0; i < ARRAYS; i++) {
        const size_t n = word(record + 4 + 4 * i);
        a[i] = block(n);
        if (n > 0) {
            memcpy(a[i].at, from, n);
        }
        from += (n + 3) / 4 * 4;
    }
    const uint32_t kind = word(record);
    for (int i = 0; i < rounds && (kind == BACKWARD || kind >= AUGMENT); i++) {
        *refused += damaged(kind, a) != TL_OK;
    }
    const tl_span_t dx = block(a[ARENA_AFTER].bytes), *answer = passes(kind) ? &a[ARENA] : &dx;
    tl_status_t status = passes(kind) ? forward(kind, a) : call(kind, a, dx);
    if (passes(kind) && status == TL_OK) {
        status = back(a);
        clear_scratch(a[ARENA], a[PLAN]);
        clear_scratch(a[ARENA_AFTER], a[PLAN]);
    }
    *equal = memcmp(answer->at, a[ARENA_AFTER].at, answer->bytes) == 0 &&
             (a[STATE].bytes == 0 || memcmp(a[STATE].at, a[STATE_AFTER].at, a[STATE].bytes) == 0);
    free(dx.at);
    for (int i = 0; i < ARRAYS; i++) {
        free(a[i].at);
    }
    return status;
}

int main(int argc, char **argv) {
    static uint8_t file[1 << 21];
    FILE *from = argc >= 2 ? fopen(argv[1], "rb") : NULL;
    const size_t length = from ? fread(file, 1, sizeof(file), from) : 0;
    if (length < 16 || length == sizeof(file) || memcmp(file, "TLGB", 4) || word(file + 4) != 1) {
        fprintf(stderr, "usage: replay_backward FILE: no golden vectors of version 1 there\n");
        return 2;
    }
    fclose(from);
    const uint32_t count = word(file + 8);
    const uint8_t *record = file + 16;
    uint32_t wrong = 0;
    const int rounds = argc > 2 ? atoi(argv[2]) : 0;
    int refused = 0;
    printf("1..%u\n", (unsigned)count);
    for (uint32_t i = 1; i <= count; i++) {
        int equal;
        const tl_status_t status = replay(record + 4, rounds, &refused, &equal);
        const int ok = status == TL_OK && equal;
        printf("%s %u\n", ok ? "ok" : "not ok", (unsigned)i);
        if (!ok) {
            printf("# status %d about %d, the answer %s\n", (int)(status % 256), (int)(status / 256),
                equal ? "is right" : "differs");
        }
        wrong += !ok;
        record += 4 + word(record);
    }
    printf("# %d damaged runs refused\n", refused);
    return wrong > 0;
}
