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

#if MICROPY_ENABLE_DYNRUNTIME
mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY
    TL_FILTER_NAMES(TL_STORE_GLOBAL)
    MP_DYNRUNTIME_INIT_EXIT
}
#else
static const mp_rom_map_elem_t tl_filter_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_tl_filter)}, TL_FILTER_NAMES(TL_TABLE_ROW)};
static MP_DEFINE_CONST_DICT(tl_filter_globals, tl_filter_globals_table);

const mp_obj_module_t tl_filter_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&tl_filter_globals,
};

MP_REGISTER_MODULE(MP_QSTR_tl_filter, tl_filter_module);
#endif
