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

#if MICROPY_ENABLE_DYNRUNTIME
mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    TL_FRONT_NAMES(TL_STORE_GLOBAL)
    MP_DYNRUNTIME_INIT_EXIT
}
#else
static const mp_rom_map_elem_t tl_front_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_tl_front)}, TL_FRONT_NAMES(TL_TABLE_ROW)};
static MP_DEFINE_CONST_DICT(tl_front_globals, tl_front_globals_table);

const mp_obj_module_t tl_front_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&tl_front_globals,
};

MP_REGISTER_MODULE(MP_QSTR_tl_front, tl_front_module);
#endif
