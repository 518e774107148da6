// tl_float: samples of floats for Python, loaded once there are any. Integers and buffers in, a status out; nothing is
// allocated. native_modules/cpython/tl_float.py is its twin on CPython, with the same names.

#include "binding.h"

// quantize(dst, src, scale, zero_point) -> status. dst int8 [n], src float32 [n], scale float32 [1]
static mp_obj_t tl_float_quantize(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    tl_span_t spans[3];
    for (int i = 0; i < 3; i++) {
        spans[i] = tl_span(args[i], i == 0 ? MP_BUFFER_RW : MP_BUFFER_READ);
    }
    return MP_OBJ_NEW_SMALL_INT(tl_quantize(spans, mp_obj_get_int(args[3])));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_float_quantize_obj, 4, 4, tl_float_quantize);

#define TL_FLOAT_NAMES(ROW) ROW(MP_QSTR_quantize, tl_float_quantize_obj)

TL_MODULE(tl_float, TL_FLOAT_NAMES);

MP_REGISTER_MODULE(MP_QSTR_tl_float, tl_float_module);
