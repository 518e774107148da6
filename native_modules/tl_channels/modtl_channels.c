// tl_channels: all of tl_grad, and what methods that look at channels want: Fisher information (kernels/fisher.h),
// activity, maps and pulling towards them (kernels/pull.h); and the loss of a model's own logits (kernels/loss.c). Who
// needs it loads it in tl_grad's place. native_modules/cpython/tl_channels.py is its twin on CPython, with the same
// names.

#include "../tl_grad/gradients.h"
#include "pull.h"

// softmax_loss(params, x, dx, state, scratch) -> status
TL_FUNCTION(tl_channels_softmax_loss, tl_softmax_loss, 4, 1);

// activity(params, y, sums) -> status
TL_FUNCTION(tl_channels_activity, tl_activity, 2, 1);

// channel_maps(params, y, channels, reference) -> status
TL_FUNCTION(tl_channels_maps, tl_channel_maps, 3, 2);

#define TL_CHANNELS_NAMES(ROW)                                                                                         \
    ROW(MP_QSTR_rates, tl_grad_rates_obj)                                                                              \
    ROW(MP_QSTR_head_loss, tl_grad_head_loss_obj)                                                                      \
    ROW(MP_QSTR_softmax_loss, tl_channels_softmax_loss_obj)                                                            \
    ROW(MP_QSTR_backward, tl_grad_backward_obj)                                                                        \
    ROW(MP_QSTR_activity, tl_channels_activity_obj)                                                                    \
    ROW(MP_QSTR_channel_maps, tl_channels_maps_obj)

TL_MODULE(tl_channels, TL_CHANNELS_NAMES);

MP_REGISTER_MODULE(MP_QSTR_tl_channels, tl_channels_module);
