// What was learned before is kept by holding on to feature maps (LightCL, arXiv 2407.10545): channels that were active
// in earlier tasks are pulled towards the maps F* that the network gave before it was trained further,
//     L += weight / 2 * sum over those channels of (F - F*)^2
// The maps are int8, as the network's own, so nothing is lost in keeping them.

#ifndef TL_PULL_H
#define TL_PULL_H

#include "program.h"
#include "update.h"

// Adds the loss's gradient to that of the map y [positions, channels]: g[p, c] += weight * (y[p, c] - reference[p, i])
// for the channels c = on[i]. Error: at most 2 units of the exponent that g ends with.
void tl_pull(tl_grad_t *g, int32_t channels, const int8_t *y, const int8_t *reference, const tl_channels_t *on,
    tl_rate_t weight);

// How active channels are: params int32 [2]: channels, zero point. y int8 [positions, channels], sums int32 [channels]
// += sum over positions of |y - zero|
tl_status_t tl_activity(const tl_span_t *params, const tl_span_t spans[2]);

// Some channels of a map: params int32 [1]: channels. y int8 [positions, channels], on int16 [k] -> reference int8
// [positions, k]
tl_status_t tl_channel_maps(const tl_span_t *params, const tl_span_t spans[3]);

#endif
