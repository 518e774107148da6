#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "romfs.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"
#include "soc.h"

#define STACK_BYTES (16 * 1024)

static uint32_t heap[HEAP_BYTES / sizeof(uint32_t)];

int main(void) {
    soc_init();
    mp_stack_ctrl_init();
    mp_stack_set_limit(STACK_BYTES);
    romfs_init((uint8_t *)FLASH_BASE + FLASH_BYTES, ROMFS_BYTES); // mp_init() mounts it
    for (;;) {
        gc_init(heap, heap + MP_ARRAY_SIZE(heap));
        mp_init();
        mp_obj_list_append(mp_sys_path, mp_obj_new_str_from_cstr("/lib"));
        pyexec_frozen_module("_boot.py", false);
        int result = pyexec_file_if_exists("boot.py");
        if (!(result & PYEXEC_FORCED_EXIT) && pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
            result = pyexec_file_if_exists("main.py");
        }
        while (!(result & PYEXEC_FORCED_EXIT)) {
            result = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl();
        }
        mp_hal_stdout_tx_str("MPY: soft reboot\r\n");
        gc_sweep_all();
        mp_deinit();
    }
}

mp_obj_t mp_vfs_rom_ioctl(size_t n_args, const mp_obj_t *args) {
    return romfs_ioctl(n_args, args);
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    gc_collect_end();
}

void nlr_jump_fail(void *val) {
    mp_hal_stdout_tx_str("fatal: uncaught exception in C\r\n");
    soc_power_cycle();
    for (;;) {
    }
}
