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

#if MICROPY_ENABLE_DYNRUNTIME
mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    TL_FLOAT_NAMES(TL_STORE_GLOBAL)
    MP_DYNRUNTIME_INIT_EXIT
}
#else
static const mp_rom_map_elem_t tl_float_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_tl_float)}, TL_FLOAT_NAMES(TL_TABLE_ROW)};
static MP_DEFINE_CONST_DICT(tl_float_globals, tl_float_globals_table);

const mp_obj_module_t tl_float_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&tl_float_globals,
};

MP_REGISTER_MODULE(MP_QSTR_tl_float, tl_float_module);
#endif
