// Replays golden vectors (README.md beside this file) through tl_op and says in TAP what came of each:
//     replay forward.bin
// Every array lies in a block of its own and of its very length, so that a sanitizer sees the first byte beyond.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

enum { PARAMS, X, X2, W, B, REQUANT, Y, ARRAYS };

static const char *const names[] = {"?", "conv2d", "depthwise_conv2d", "fully_connected", "avg_pool", "max_pool",
    "mean", "add", "pad", "clamp", "softmax", "reshape"};

static uint8_t *whole_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END)) {
        return NULL;
    }
    *length = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*length);
    if (fread(bytes, 1, *length, file) != *length) {
        *length = 0;
    }
    fclose(file);
    return bytes;
}

static uint32_t word(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

// Runs the record behind its length word. Gives op's status; *equal: whether it answered as the record says.
static tl_status_t replay(const uint8_t *record, int32_t *code, int *equal) {
    tl_span_t array[ARRAYS] = {{NULL, 0}};
    const uint8_t *from = record + 4 * ARRAYS;
    for (int i = 0; i < ARRAYS; i++) {
        size_t n = word(record + 4 * i);
        if (n > 0) {
            array[i] = (tl_span_t){malloc(n), n};
            memcpy(array[i].at, from, n);
        }
        from += (n + 3) / 4 * 4;
    }
    tl_span_t y = {malloc(array[Y].bytes), array[Y].bytes};
    memset(y.at, 85, y.bytes);
    const tl_span_t spans[TL_SPANS] = {[TL_X] = array[X],
        [TL_X2] = array[X2],
        [TL_W] = array[W],
        [TL_B] = array[B],
        [TL_REQUANT] = array[REQUANT],
        [TL_Y] = y};
    tl_status_t status = tl_op(&array[PARAMS], spans);
    *equal = memcmp(y.at, array[Y].at, y.bytes) == 0;
    *code = *(int32_t *)array[PARAMS].at;
    free(y.at);
    for (int i = 0; i < ARRAYS; i++) {
        free(array[i].at);
    }
    return status;
}

int main(int argc, char **argv) {
    size_t length = 0;
    uint8_t *file = argc == 2 ? whole_file(argv[1], &length) : NULL;
    if (length < 16 || memcmp(file, "TLGV", 4) || word(file + 4) != 1) {
        fprintf(stderr, "usage: replay FILE: no golden vectors of version 1 there\n");
        return 2;
    }
    uint32_t count = word(file + 8), wrong = 0;
    const uint8_t *record = file + 16;
    printf("1..%u\n", (unsigned)count);
    for (uint32_t i = 1; i <= count; i++) {
        int32_t code;
        int equal;
        tl_status_t status = replay(record + 4, &code, &equal);
        int ok = status == TL_OK && equal;
        printf("%s %u - %s\n", ok ? "ok" : "not ok", (unsigned)i, names[code]);
        if (!ok) {
            printf("# status %d about %d, the answer %s\n", (int)(status % 256), (int)(status / 256),
                equal ? "is right" : "differs");
        }
        wrong += !ok;
        record += 4 + word(record);
    }
    free(file);
    return wrong > 0;
}
