// tl_grad: gradients through a network for Python.
// native_modules/cpython/tl_grad.py is its twin on CPython, with the same names.

#include "gradients.h"

#define TL_GRAD_NAMES(ROW)                                                                                             \
    ROW(MP_QSTR_rates, tl_grad_rates_obj)                                                                              \
    ROW(MP_QSTR_head_loss, tl_grad_head_loss_obj)                                                                      \
    ROW(MP_QSTR_backward, tl_grad_backward_obj)

#if MICROPY_ENABLE_DYNRUNTIME
mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    TL_GRAD_NAMES(TL_STORE_GLOBAL)
    MP_DYNRUNTIME_INIT_EXIT
}
#else
static const mp_rom_map_elem_t tl_grad_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_tl_grad)}, TL_GRAD_NAMES(TL_TABLE_ROW)};
static MP_DEFINE_CONST_DICT(tl_grad_globals, tl_grad_globals_table);

const mp_obj_module_t tl_grad_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&tl_grad_globals,
};

MP_REGISTER_MODULE(MP_QSTR_tl_grad, tl_grad_module);
#endif
