#include "romfs.h"

#include <string.h>

#include "extmod/vfs.h"
#include "py/mperrno.h"
#include "py/objarray.h"
#include "py/runtime.h"

#define MIN_WRITE_BYTES (4)

static mp_obj_array_t partition = {.base = {&mp_type_memoryview}, .typecode = 'B'};

void romfs_init(void *memory, size_t n_bytes) {
    static const uint8_t empty[] = {0xd2, 0xcd, 0x31, 0x00};
    partition.items = memory;
    partition.len = n_bytes;
    if (memcmp(memory, empty, 3) != 0) {
        memcpy(memory, empty, sizeof(empty));
    }
}

mp_obj_t romfs_ioctl(size_t n_args, const mp_obj_t *args) {
    mp_int_t request = mp_obj_get_int(args[0]);
    if (request == MP_VFS_ROM_IOCTL_GET_NUMBER_OF_SEGMENTS) {
        return MP_OBJ_NEW_SMALL_INT(1);
    }
    if (n_args < 2 || mp_obj_get_int(args[1]) != 0) {
        return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
    }
    if (request == MP_VFS_ROM_IOCTL_GET_SEGMENT) {
        return MP_OBJ_FROM_PTR(&partition);
    }
    if (request == MP_VFS_ROM_IOCTL_WRITE_PREPARE && n_args == 3) {
        size_t n_bytes = mp_obj_get_int(args[2]);
        if (n_bytes > partition.len) {
            return MP_OBJ_NEW_SMALL_INT(-MP_ENOSPC);
        }
        memset(partition.items, 0xff, n_bytes);
        return MP_OBJ_NEW_SMALL_INT(MIN_WRITE_BYTES);
    }
    if (request == MP_VFS_ROM_IOCTL_WRITE && n_args == 4) {
        size_t offset = mp_obj_get_int(args[2]);
        mp_buffer_info_t data;
        mp_get_buffer_raise(args[3], &data, MP_BUFFER_READ);
        if (offset > partition.len || data.len > partition.len - offset) {
            return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
        }
        memcpy((uint8_t *)partition.items + offset, data.buf, data.len);
        return MP_OBJ_NEW_SMALL_INT(0);
    }
    if (request == MP_VFS_ROM_IOCTL_WRITE_COMPLETE) {
        return MP_OBJ_NEW_SMALL_INT(0);
    }
    return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
}
