// What both bindings need: one source builds a native .mpy (dynruntime) and a module linked into a firmware.

#ifndef TL_BINDING_H
#define TL_BINDING_H

#if MICROPY_ENABLE_DYNRUNTIME
#include "py/dynruntime.h"

// The compiler calls these for copies and clears; a native module has no libc, the firmware's table has them.
void *memcpy(void *dst, const void *src, size_t n) {
    return mp_fun_table.memmove_(dst, src, n);
}

void *memmove(void *dst, const void *src, size_t n) {
    return mp_fun_table.memmove_(dst, src, n);
}

void *memset(void *dst, int c, size_t n) {
    return mp_fun_table.memset_(dst, c, n);
}
#else
#include "py/obj.h"
#include "py/runtime.h"
#endif

#include "program.h"

// One row of a module's table of names: as a global of a native module, or as an entry of a built-in module's
// dictionary.
#define TL_STORE_GLOBAL(name, object) mp_store_global(name, MP_OBJ_FROM_PTR(&object));
#define TL_TABLE_ROW(name, object) {MP_ROM_QSTR(name), MP_ROM_PTR(&object)},

// A buffer argument; None is no buffer. Raises TypeError for anything else, and for a read-only buffer where flags ask
// to write.
static inline tl_span_t tl_span(mp_obj_t object, mp_uint_t flags) {
    tl_span_t span = {NULL, 0};
    if (object != mp_const_none) {
        mp_buffer_info_t info;
        mp_get_buffer_raise(object, &info, flags);
        span.at = info.buf;
        span.bytes = info.len;
    }
    return span;
}

// Calls a function of params and count buffers, at most 8, of which those from the index `written` on are written to.
static inline mp_obj_t tl_call(tl_status_t (*function)(const tl_span_t *params, const tl_span_t *spans),
    const mp_obj_t *args, int count, int written) {
    tl_span_t params = tl_span(args[0], MP_BUFFER_READ), spans[8];
    for (int i = 0; i < count; i++) {
        spans[i] = tl_span(args[1 + i], i >= written ? MP_BUFFER_RW : MP_BUFFER_READ);
    }
    return MP_OBJ_NEW_SMALL_INT(function(&params, spans));
}

// What Python calls of such a function: `name`_obj.
#define TL_FUNCTION(name, function, count, written)                                                                    \
    static mp_obj_t name(size_t n_args, const mp_obj_t *args) {                                                        \
        (void)n_args;                                                                                                  \
        return tl_call(function, args, count, written);                                                                \
    }                                                                                                                  \
    static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(name##_obj, (count) + 1, (count) + 1, name)

// A module and its names: NAMES(ROW) has a ROW for each. After it stands MP_REGISTER_MODULE, which a firmware's build
// looks for in the source and which is nothing in a native module.
#if MICROPY_ENABLE_DYNRUNTIME
#define TL_MODULE(name, NAMES)                                                                                         \
    mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {                             \
        MP_DYNRUNTIME_INIT_ENTRY                                                                                       \
        NAMES(TL_STORE_GLOBAL)                                                                                         \
        MP_DYNRUNTIME_INIT_EXIT                                                                                        \
    }
#define MP_REGISTER_MODULE(qstr, module)
#else
#define TL_MODULE(name, NAMES)                                                                                         \
    static const mp_rom_map_elem_t name##_globals_table[] = {                                                          \
        {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_##name)}, NAMES(TL_TABLE_ROW)};                            \
    static MP_DEFINE_CONST_DICT(name##_globals, name##_globals_table);                                                 \
    const mp_obj_module_t name##_module = {                                                                            \
        .base = {&mp_type_module},                                                                                     \
        .globals = (mp_obj_dict_t *)&name##_globals,                                                                   \
    }
#endif

#endif
