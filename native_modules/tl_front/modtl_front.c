// tl_front: from a sensor's samples to a network's input, for Python. Buffers in, an integer out; nothing is allocated.
// native_modules/cpython/tl_front.py is its twin on CPython, with the same names.
// What each function does, and its buffers: kernels/front.h.

#include "binding.h"
#include "front.h"

// scratch(section) -> bytes, or -1
static mp_obj_t tl_front_scratch_(mp_obj_t section) {
    tl_span_t span = tl_span(section, MP_BUFFER_READ);
    return MP_OBJ_NEW_SMALL_INT(tl_front_scratch(&span));
}
static MP_DEFINE_CONST_FUN_OBJ_1(tl_front_scratch_obj, tl_front_scratch_);

// run(section, samples, picture, scratch) -> status
static mp_obj_t tl_front_run_(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    return tl_call(tl_front_run, args, 3, 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_front_run_obj, 4, 4, tl_front_run_);

#define TL_FRONT_NAMES(ROW)                                                                                            \
    ROW(MP_QSTR_scratch, tl_front_scratch_obj)                                                                         \
    ROW(MP_QSTR_run, tl_front_run_obj)

TL_MODULE(tl_front, TL_FRONT_NAMES);

MP_REGISTER_MODULE(MP_QSTR_tl_front, tl_front_module);
