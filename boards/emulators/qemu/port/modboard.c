// `board.flash` is the whole flash as a bytearray, which _boot.py puts a filesystem on; `board.reset()` cuts the power.

#include "py/binary.h"
#include "py/objarray.h"
#include "py/runtime.h"
#include "soc.h"

static const mp_obj_array_t flash = {
    .base = {&mp_type_bytearray}, .typecode = BYTEARRAY_TYPECODE, .len = FLASH_BYTES, .items = (void *)FLASH_BASE};

static mp_obj_t board_reset(void) {
    soc_power_cycle();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_reset_obj, board_reset);

static const mp_rom_map_elem_t board_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_board)},
    {MP_ROM_QSTR(MP_QSTR_flash), MP_ROM_PTR(&flash)},
    {MP_ROM_QSTR(MP_QSTR_reset), MP_ROM_PTR(&board_reset_obj)},
};
static MP_DEFINE_CONST_DICT(board_globals, board_globals_table);

const mp_obj_module_t board_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&board_globals,
};
MP_REGISTER_MODULE(MP_QSTR_board, board_module);
