// tl_train: the training half of tinylearn for Python. Integers and buffers in, a status out; nothing is allocated.
// native_modules/cpython/tl_train.py is its twin on CPython, with the same names.
// What each function does, and its buffers: kernels/heads.h, kernels/backward.h.

#include "backward.h"
#include "binding.h"
#include "heads.h"

// A function of params and count buffers, of which those from the index `written` on are written to.
typedef tl_status_t (*tl_train_function_t)(const tl_span_t *params, const tl_span_t *spans);

static mp_obj_t call(tl_train_function_t function, const mp_obj_t *args, int count, int written) {
    tl_span_t params = tl_span(args[0], MP_BUFFER_READ), spans[8];
    for (int i = 0; i < count; i++) {
        spans[i] = tl_span(args[1 + i], i >= written ? MP_BUFFER_RW : MP_BUFFER_READ);
    }
    return MP_OBJ_NEW_SMALL_INT(function(&params, spans));
}

// class_sums(params, features, labels, sums, counts) -> status
static mp_obj_t tl_train_class_sums(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    return call(tl_class_sums, args, 4, 2);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_train_class_sums_obj, 5, 5, tl_train_class_sums);

// class_rows(params, sums, counts, w, b) -> status
static mp_obj_t tl_train_class_rows(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    return call(tl_class_rows, args, 4, 2);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_train_class_rows_obj, 5, 5, tl_train_class_rows);

// own_classes(params, source, own_w, own_scale, sums, counts, scratch) -> status
static mp_obj_t tl_train_own_classes(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    return call(tl_own_classes, args, 6, 3);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_train_own_classes_obj, 7, 7, tl_train_own_classes);

// closed_form(params, features, labels, sums, counts, w, b, scale, scratch) -> status
static mp_obj_t tl_train_closed_form(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    return call(tl_closed_form, args, 8, 4);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_train_closed_form_obj, 9, 9, tl_train_closed_form);

// unit_mean(params, features, mean, scratch) -> status
static mp_obj_t tl_train_unit_mean(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    return call(tl_unit_mean, args, 3, 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_train_unit_mean_obj, 4, 4, tl_train_unit_mean);

// head_step(params, features, labels, mean, w, b, state, scratch) -> status
static mp_obj_t tl_train_head_step(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    return call(tl_head_step, args, 7, 3);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_train_head_step_obj, 8, 8, tl_train_head_step);

// rates(params, model, table) -> status
static mp_obj_t tl_train_rates(mp_obj_t params, mp_obj_t model, mp_obj_t table) {
    const mp_obj_t args[3] = {params, model, table};
    return call(tl_rates, args, 2, 1);
}
static MP_DEFINE_CONST_FUN_OBJ_3(tl_train_rates_obj, tl_train_rates);

// head_loss(params, x, w, b, dx, state, scratch) -> status
static mp_obj_t tl_train_head_loss(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    return call(tl_head_loss, args, 6, 3);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_train_head_loss_obj, 7, 7, tl_train_head_loss);

// softmax_loss(params, x, dx, state, scratch) -> status
static mp_obj_t tl_train_softmax_loss(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    return call(tl_softmax_loss, args, 4, 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_train_softmax_loss_obj, 5, 5, tl_train_softmax_loss);

// backward(model, arena, places, plan, state) -> status
static mp_obj_t tl_train_backward(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    tl_span_t spans[TL_BACK_SPANS];
    for (int i = 0; i < TL_BACK_SPANS; i++) {
        bool written = i == TL_BACK_ARENA || i == TL_BACK_STATE;
        spans[i] = tl_span(args[i], written ? MP_BUFFER_RW : MP_BUFFER_READ);
    }
    return MP_OBJ_NEW_SMALL_INT(tl_backward(spans));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_train_backward_obj, 5, 5, tl_train_backward);

#define TL_TRAIN_NAMES(ROW)                                                                                            \
    ROW(MP_QSTR_class_sums, tl_train_class_sums_obj)                                                                   \
    ROW(MP_QSTR_class_rows, tl_train_class_rows_obj)                                                                   \
    ROW(MP_QSTR_own_classes, tl_train_own_classes_obj)                                                                 \
    ROW(MP_QSTR_closed_form, tl_train_closed_form_obj)                                                                 \
    ROW(MP_QSTR_unit_mean, tl_train_unit_mean_obj)                                                                     \
    ROW(MP_QSTR_head_step, tl_train_head_step_obj)                                                                     \
    ROW(MP_QSTR_rates, tl_train_rates_obj)                                                                             \
    ROW(MP_QSTR_head_loss, tl_train_head_loss_obj)                                                                     \
    ROW(MP_QSTR_softmax_loss, tl_train_softmax_loss_obj)                                                               \
    ROW(MP_QSTR_backward, tl_train_backward_obj)

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
