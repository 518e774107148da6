// Damages a good .tlm in every way and hands it to tl_check and tl_run. Built with AddressSanitizer and UBSan, which
// end it at the first byte outside a buffer. Checksums are put right again, so that the checks behind the checksum are
// reached.
//
// With -DUNCHECKED every damaged file is run, also those that tl_check refuses: tl_run trusts nobody. Its arithmetic
// may then be nonsense (shifts by 90), so that is for AddressSanitizer alone.
//
// fuzz MODEL.tlm ROUNDS: every byte of header and tables set to telling values, every length, then ROUNDS random
// damages. Prints how many damaged files were refused, how many accepted and run.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

#ifndef UNCHECKED
#define UNCHECKED 0
#endif

enum { ARENA_LIMIT = 1 << 20, LENGTH = 8, CRC = 12, CRC_FROM = 16, ARENA = 48 };

static uint8_t *good;
static size_t length;
static unsigned long refused, accepted;
static uint32_t state = 2463534242u;

static uint32_t random32(void) {
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

static void put32(uint8_t *at, uint32_t value) {
    memcpy(at, &value, 4);
}

static uint32_t get32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

// Its buffers have exactly the bytes that they may use: one more is an error that the sanitizer sees.
static void run(const uint8_t *file, size_t n, uint32_t arena_bytes) {
    if (arena_bytes > ARENA_LIMIT) {
        arena_bytes = ARENA_LIMIT;
    }
    uint8_t *arena = calloc(1, arena_bytes ? arena_bytes : 1);
    const tl_span_t none = {NULL, 0};
    int32_t i = 0;
    for (tl_status_t status = 0; (status & 255) != TL_E_RANGE; i++) { // each by itself: behind a bad one, too
        status = tl_run(file, n, (tl_span_t){arena, arena_bytes}, i, i + 1, none, none);
        if (status && (status & 255) < TL_E_TYPE) { // no file at all
            break;
        }
    }
    free(arena);
}

static void probe(const uint8_t *damaged, size_t n, bool sealed) {
    uint8_t *file = malloc(n ? n : 1);
    memcpy(file, damaged, n);
    uint32_t said = n > CRC ? get32(file + LENGTH) : 0;
    if (sealed && said > CRC_FROM && said <= n) {
        put32(file + CRC, tl_crc32(0, file + CRC_FROM, said - CRC_FROM));
    }
    bool sound = tl_check(file, n) == TL_OK;
    refused += !sound;
    accepted += sound;
    if (sound || (UNCHECKED && n > ARENA + 4)) {
        run(file, n, get32(file + ARENA));
    }
    free(file);
}

static void every_byte(size_t begin, size_t end) {
    static const uint8_t telling[] = {0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff};
    for (size_t i = begin; i < end; i++) {
        uint8_t was = good[i];
        for (size_t t = 0; t < sizeof(telling); t++) {
            good[i] = telling[t];
            probe(good, length, true);
        }
        for (int bit = 0; bit < 8; bit++) {
            good[i] = was ^ (1 << bit);
            probe(good, length, true);
        }
        good[i] = was;
    }
}

static void every_length(void) {
    for (size_t n = 0; n < length; n++) {
        probe(good, n, false);
        if (n > LENGTH + 4) { // and with a header that says so
            put32(good + LENGTH, n);
            probe(good, n, true);
            put32(good + LENGTH, length);
        }
    }
}

// A few bytes or aligned words anywhere, most often in the tables.
static void at_random(size_t tables) {
    uint8_t *copy = malloc(length);
    memcpy(copy, good, length);
    for (uint32_t n = 1 + random32() % 4; n > 0; n--) {
        size_t limit = random32() % 4 ? tables : length;
        size_t at = random32() % limit;
        if (random32() & 1) {
            copy[at] = random32();
        } else {
            put32(copy + at % (length - 3) / 4 * 4, random32() % 3 ? random32() % 70000 : random32());
        }
    }
    probe(copy, length, true);
    free(copy);
}

int main(int argc, char **argv) {
    FILE *f = argc == 3 ? fopen(argv[1], "rb") : NULL;
    if (!f || fseek(f, 0, SEEK_END)) {
        fprintf(stderr, "fuzz MODEL.tlm ROUNDS\n");
        return 2;
    }
    length = ftell(f);
    rewind(f);
    good = malloc(length);
    if (fread(good, 1, length, f) != length || tl_check(good, length)) {
        fprintf(stderr, "%s: not a good model to begin with\n", argv[1]);
        return 2;
    }
    fclose(f);
    size_t tables = get32(good + 64 + 2 * 16 + 4); // up to the weights, which are the third section
    every_byte(0, tables);
    every_length();
    for (unsigned long rounds = strtoul(argv[2], NULL, 10); rounds > 0; rounds--) {
        at_random(tables);
    }
    printf("refused %lu accepted %lu\n", refused, accepted);
    free(good);
    return 0;
}
