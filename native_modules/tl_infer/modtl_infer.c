// tl_infer: the forward half of tinylearn for Python. Integers and buffers in, a status out; nothing is allocated.
// native_modules/cpython/tl_infer.py is its twin on CPython, with the same names.

#include "binding.h"
#include "heads.h"

// check(model) -> status
static mp_obj_t tl_infer_check(mp_obj_t model_in) {
    tl_span_t model = tl_span(model_in, MP_BUFFER_READ);
    return MP_OBJ_NEW_SMALL_INT(tl_check(model.at, model.bytes));
}
static MP_DEFINE_CONST_FUN_OBJ_1(tl_infer_check_obj, tl_infer_check);

// run(model, arena, first, last, places=None, masks=None) -> status
static mp_obj_t tl_infer_run(size_t n_args, const mp_obj_t *args) {
    tl_span_t model = tl_span(args[0], MP_BUFFER_READ);
    tl_span_t arena = tl_span(args[1], MP_BUFFER_RW);
    tl_span_t places = tl_span(n_args > 4 ? args[4] : mp_const_none, MP_BUFFER_READ);
    tl_span_t masks = tl_span(n_args > 5 ? args[5] : mp_const_none, MP_BUFFER_READ);
    int32_t first = mp_obj_get_int(args[2]), last = mp_obj_get_int(args[3]);
    return MP_OBJ_NEW_SMALL_INT(tl_run(model.at, model.bytes, arena, first, last, places, masks));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_infer_run_obj, 4, 6, tl_infer_run);

// op(params, x, x2, w, b, requant, y, scratch) -> status. None where the operator has no such buffer.
TL_FUNCTION(tl_infer_op, tl_op, TL_SPANS, TL_Y);

// pixels(dst, src) -> status. dst int8 [n] = src uint8 [n] - 128
static mp_obj_t tl_infer_pixels(mp_obj_t dst_in, mp_obj_t src_in) {
    tl_span_t spans[2] = {tl_span(dst_in, MP_BUFFER_RW), tl_span(src_in, MP_BUFFER_READ)};
    return MP_OBJ_NEW_SMALL_INT(tl_pixels(spans));
}
static MP_DEFINE_CONST_FUN_OBJ_2(tl_infer_pixels_obj, tl_infer_pixels);

// crc32(data, seed=0) -> int, as zlib's
static mp_obj_t tl_infer_crc32(size_t n_args, const mp_obj_t *args) {
    tl_span_t data = tl_span(args[0], MP_BUFFER_READ);
    uint32_t seed = n_args > 1 ? (uint32_t)mp_obj_get_int_truncated(args[1]) : 0;
    return mp_obj_new_int_from_uint(tl_crc32(seed, data.at, data.bytes));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(tl_infer_crc32_obj, 1, 2, tl_infer_crc32);

// head_scores(params, x, w, b, logits) -> status (kernels/heads.h)
TL_FUNCTION(tl_infer_head_scores, tl_head_scores, 4, 3);

// head_softmax(logits, probabilities) -> status
TL_FUNCTION(tl_infer_head_softmax, tl_head_softmax, 1, 0);

#define TL_INFER_NAMES(ROW)                                                                                            \
    ROW(MP_QSTR_check, tl_infer_check_obj)                                                                             \
    ROW(MP_QSTR_run, tl_infer_run_obj)                                                                                 \
    ROW(MP_QSTR_op, tl_infer_op_obj)                                                                                   \
    ROW(MP_QSTR_pixels, tl_infer_pixels_obj)                                                                           \
    ROW(MP_QSTR_crc32, tl_infer_crc32_obj)                                                                             \
    ROW(MP_QSTR_head_scores, tl_infer_head_scores_obj)                                                                 \
    ROW(MP_QSTR_head_softmax, tl_infer_head_softmax_obj)

TL_MODULE(tl_infer, TL_INFER_NAMES);

MP_REGISTER_MODULE(MP_QSTR_tl_infer, tl_infer_module);
