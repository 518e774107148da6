// Values that lie apart, into words of two for SMLAD (panel_grad.h).

#include "panel_grad.h"

#if TL_HALVES
uint32_t tl_pack(uint32_t *to, const void *from, uint32_t words, const tl_pack_t *d) {
    const int8_t *at = from;
    for (; words > 0; words--, at += d->zero, to += d->to_step / 4) {
        *to = tl_pair(*at, at[d->from_step]);
    }
    return 0;
}

void tl_pack_pair_fours(uint32_t *to, const int8_t *from, uint32_t words, int32_t step) {
    for (; words > 0; words--, from += 2 * step, to += 4) {
        const uint32_t first = tl_four(from), second = tl_four(from + step);
        const int16x2_t even = tl_even(first), odd = tl_odd(first);
        const int16x2_t even_on = tl_even(second), odd_on = tl_odd(second);
        to[0] = (uint16_t)even | (uint32_t)even_on << 16;
        to[1] = (uint16_t)odd | (uint32_t)odd_on << 16;
        to[2] = (uint32_t)even >> 16 | ((uint32_t)even_on & 0xffff0000);
        to[3] = (uint32_t)odd >> 16 | ((uint32_t)odd_on & 0xffff0000);
    }
}
#endif
