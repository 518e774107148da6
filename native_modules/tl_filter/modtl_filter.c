// tl_filter: all of tl_grad, and records with filtered gradients (kernels/filter.h). Who filters loads it in tl_grad's
// place.
// native_modules/cpython/tl_filter.py is its twin on CPython, with the same names.

#include "../tl_grad/gradients.h"
#include "filter.h"

// patches(params, model, places, arena) -> status
TL_FUNCTION(tl_filter_patches, tl_patches, 3, 2);

#define TL_FILTER_NAMES(ROW)                                                                                           \
    ROW(MP_QSTR_rates, tl_grad_rates_obj)                                                                              \
    ROW(MP_QSTR_head_loss, tl_grad_head_loss_obj)                                                                      \
    ROW(MP_QSTR_backward, tl_grad_backward_obj)                                                                        \
    ROW(MP_QSTR_patches, tl_filter_patches_obj)

TL_MODULE(tl_filter, TL_FILTER_NAMES);

MP_REGISTER_MODULE(MP_QSTR_tl_filter, tl_filter_module);
