// tl_train: what teaches heads, and views of their samples, for Python. Integers and buffers in, a status out; nothing
// is allocated. native_modules/cpython/tl_train.py is its twin on CPython, with the same names. What each function
// does, and its buffers: kernels/heads.h, kernels/augment.h.

#include "augment.h"
#include "binding.h"
#include "heads.h"

// class_sums(params, features, labels, sums, counts) -> status
TL_FUNCTION(tl_train_class_sums, tl_class_sums, 4, 2);

// class_rows(params, sums, counts, w, b) -> status
TL_FUNCTION(tl_train_class_rows, tl_class_rows, 4, 2);

// own_classes(params, source, own_w, own_scale, sums, counts, scratch) -> status
TL_FUNCTION(tl_train_own_classes, tl_own_classes, 6, 3);

// closed_form(params, features, labels, sums, counts, w, b, scale, scratch) -> status
TL_FUNCTION(tl_train_closed_form, tl_closed_form, 8, 4);

// unit_mean(params, features, mean, scratch) -> status
TL_FUNCTION(tl_train_unit_mean, tl_unit_mean, 3, 1);

// head_step(params, features, labels, mean, w, b, state, scratch) -> status
TL_FUNCTION(tl_train_head_step, tl_head_step, 7, 3);

// augment(params, x, out, state) -> status
TL_FUNCTION(tl_train_augment, tl_augment, 3, 1);

#define TL_TRAIN_NAMES(ROW)                                                                                            \
    ROW(MP_QSTR_class_sums, tl_train_class_sums_obj)                                                                   \
    ROW(MP_QSTR_class_rows, tl_train_class_rows_obj)                                                                   \
    ROW(MP_QSTR_own_classes, tl_train_own_classes_obj)                                                                 \
    ROW(MP_QSTR_closed_form, tl_train_closed_form_obj)                                                                 \
    ROW(MP_QSTR_unit_mean, tl_train_unit_mean_obj)                                                                     \
    ROW(MP_QSTR_head_step, tl_train_head_step_obj)                                                                     \
    ROW(MP_QSTR_augment, tl_train_augment_obj)

TL_MODULE(tl_train, TL_TRAIN_NAMES);

MP_REGISTER_MODULE(MP_QSTR_tl_train, tl_train_module);
