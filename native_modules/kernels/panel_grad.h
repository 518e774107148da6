// Back through convolutions by panels: packed gradients meet packed weights, or packed x, four sums at a time, and
// every word makes two products. The loops are assembly: armv6m/chain.S, where pairs.h says how one multiplication
// makes two products, and armv7em/chain.S, where SMLAD does. Gradients lie within +-127 (int16: +-32767), so weights
// and x may be any int8.

#ifndef TL_PANEL_GRAD_H
#define TL_PANEL_GRAD_H

#include "gradient.h"
#include "pairs.h"

#if defined(__ARM_ARCH_6M__) || TL_HALVES
#define TL_PANELS 1
#else
#define TL_PANELS 0
#endif

// ---- chain.S --------------------------------------------------------------------------------------------------------

// How gradients lie
enum {
    TL_CHAIN_PACKED,       // TL_GRAD_CHUNK words, of which the last count
    TL_CHAIN_BYTES_ON,     // int8 side by side, on a multiple of 4, whole fours of them
    TL_CHAIN_HALVES_ON,    // int16, likewise
    TL_CHAIN_BYTES_APART,  // int8 or
    TL_CHAIN_HALVES_APART, // int16 that lie apart
};

typedef struct {
    int32_t *sums;   // fours of them: added to
    int32_t bytes;   // of one round's sums
    uint32_t single; // Cortex-M0+: 0: a word is two int8, 1: an int16. With SMLAD it is always two.
    uint32_t how;    // gradients lie
    uint32_t count;  // of rounds with the same panel
    int32_t step,
        sums_step;         // from round to round: bytes on to the gradients, and from behind the sums to the next ones
    int32_t apart, values; // of those that lie apart: bytes from one to the next, and how many
    int32_t *totals;       // to one for each round those are added, where not NULL
} tl_chain_t;

// words: of a round's gradients, the earlier of two in the high half (with SMLAD: the low half), a lone last one too.
// panel: per four sums 4 * words words, the earlier of two in the low half.
void tl_chain(const void *gradients, uint32_t words, const uint32_t *panel, const tl_chain_t *d);

// ---- pack.S, pack.c -------------------------------------------------------------------------------------------------

enum {
    TL_PACK_HIGH_PAIRS, // int8, the first of two in the high half
    TL_PACK_LOW_PAIRS,  // int8, the first in the low half: the only one where SMLAD is
    TL_PACK_BYTES,      // int8, one in a word
    TL_PACK_HALVES,     // int16, one in a word
};

typedef struct {
    int32_t to_step, from_step; // bytes from word to word, from value to value
    uint32_t how;
    int32_t zero; // taken off TL_PACK_BYTES; of pairs: bytes from the first of one to the first of the next
} tl_pack_t;

// words > 0. Gives their sum; not where SMLAD is.
uint32_t tl_pack(uint32_t *to, const void *from, uint32_t words, const tl_pack_t *d);

// Four neighbouring int8 at once, into words side by side: each with the one `step` bytes on in the high half, words
// * 2 * step bytes of them, or alone. All are multiples of 4.
void tl_pack_pair_fours(uint32_t *to, const int8_t *from, uint32_t words, int32_t step);
void tl_pack_byte_fours(uint32_t *to, const int8_t *from, uint32_t words, int32_t step);

// ---- panel_grad.c ---------------------------------------------------------------------------------------------------

// n gradients, `step` apart, as the last words before `end`; the lone last of pairs is the first of its own. Gives
// their sum. Of pairs, n <= 512
int32_t tl_pack_gradients(const tl_grad_t *g, int32_t at, int32_t step, int32_t n, uint32_t *end);

// tl_grad_input. false: nothing done, for the scratch is too small.
bool tl_panel_conv2d_grad_input(
    const tl_back_t *back, tl_rows_t *dx, int32_t *scratch, int32_t bytes, int32_t exponent);

// All sums of dx, into the begin of the scratch, of an image of one row under a 1 x 1 kernel. false: likewise.
bool tl_panel_conv2d_grad_sums(const tl_back_t *back, int32_t *scratch, int32_t bytes);

// tl_grad_weight of convolutions, for as many output channels from the `first` chosen one on as the scratch holds, into
// its begin, *row sums each, and behind them the sums of each one's gradients: times x's zero point, they are still to
// be taken off. Gives how many, or 0 where it is too small.
int32_t tl_panel_conv2d_grad_weight(
    const tl_weights_t *of, int32_t first, int32_t *scratch, int32_t bytes, int32_t *row);

#endif
