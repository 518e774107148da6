// tl_train: the training half of tinylearn for Python. Integers and buffers in, a status out; nothing is allocated.
// native_modules/cpython/tl_train.py is its twin on CPython, with the same names.

#include "binding.h"

#define TL_TRAIN_NAMES(ROW)

#if MICROPY_ENABLE_DYNRUNTIME
mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    TL_TRAIN_NAMES(TL_STORE_GLOBAL)
    MP_DYNRUNTIME_INIT_EXIT
}
#else
static const mp_rom_map_elem_t tl_train_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_tl_train)}, TL_TRAIN_NAMES(TL_TABLE_ROW)};
static MP_DEFINE_CONST_DICT(tl_train_globals, tl_train_globals_table);

const mp_obj_module_t tl_train_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&tl_train_globals,
};

MP_REGISTER_MODULE(MP_QSTR_tl_train, tl_train_module);
#endif
