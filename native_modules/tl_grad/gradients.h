// The functions of tl_grad, which tl_channels and tl_filter have as well. Integers and buffers in, a status out;
// nothing is allocated. What each does, and its buffers: kernels/backward.h.

#ifndef TL_GRADIENTS_H
#define TL_GRADIENTS_H

#include "backward.h"
#include "binding.h"

// rates(params, model, table) -> status
TL_FUNCTION(tl_grad_rates, tl_rates, 2, 1);

// head_loss(params, x, w, b, dx, state, scratch) -> status
TL_FUNCTION(tl_grad_head_loss, tl_head_loss, 6, 3);

// backward(model, arena, places, plan, state, weights=None) -> status; weights: the model again, where they are trained
static mp_obj_t tl_grad_backward(size_t n_args, const mp_obj_t *args) {
    tl_span_t spans[TL_BACK_SPANS];
    for (size_t i = 0; i < TL_BACK_SPANS; i++) {
        bool written = i == TL_BACK_ARENA || i >= TL_BACK_STATE;
        spans[i] = tl_span(i < n_args ? args[i] : mp_const_none, written ? MP_BUFFER_RW : MP_BUFFER_READ);
    }
    return MP_OBJ_NEW_SMALL_INT(tl_backward(spans));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_grad_backward_obj, 5, 6, tl_grad_backward);

#endif
