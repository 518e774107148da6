// tl_grad: gradients through a network for Python.
// native_modules/cpython/tl_grad.py is its twin on CPython, with the same names.

#include "gradients.h"

#define TL_GRAD_NAMES(ROW)                                                                                             \
    ROW(MP_QSTR_rates, tl_grad_rates_obj)                                                                              \
    ROW(MP_QSTR_head_loss, tl_grad_head_loss_obj)                                                                      \
    ROW(MP_QSTR_backward, tl_grad_backward_obj)

TL_MODULE(tl_grad, TL_GRAD_NAMES);

MP_REGISTER_MODULE(MP_QSTR_tl_grad, tl_grad_module);
