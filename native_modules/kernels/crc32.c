#include "program.h"

// Bit by bit: a table would make it faster, but on a board tables are RAM.
uint32_t tl_crc32(uint32_t crc, const void *data, size_t length) {
    const uint8_t *p = data;
    crc = ~crc;
    for (const uint8_t *end = p + length; p < end; p++) {
        crc ^= *p;
        for (int i = 0; i < 8; i++) {
            crc = (crc >> 1) ^ (0xedb88320 & (0u - (crc & 1)));
        }
    }
    return ~crc;
}
