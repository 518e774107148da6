#ifndef TINYLEARN_BOARDS_ROMFS_H
#define TINYLEARN_BOARDS_ROMFS_H

#include "py/obj.h"

// The ROMFS partition of an emulated board is plain memory that outlives the program: a mapped file.
void romfs_init(void *memory, size_t n_bytes);

// MicroPython's vfs.rom_ioctl on that memory, which is what `mpremote romfs deploy` calls.
mp_obj_t romfs_ioctl(size_t n_args, const mp_obj_t *args);

#endif
