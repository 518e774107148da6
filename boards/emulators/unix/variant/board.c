// `board.serve(raw)`: speak the REPL of the bare-metal ports on the terminal that is this process's stdin, until a soft
// reset is asked for. The process then ends, and start.py starts it afresh. Returns whether the raw REPL was active.

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "extmod/vfs.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "romfs.h"
#include "shared/runtime/pyexec.h"

#define ROMFS_BYTES (1024 * 1024)

static void change_terminal(tcflag_t *(*field)(struct termios *), tcflag_t flag, bool on) {
    struct termios settings;
    tcgetattr(STDIN_FILENO, &settings);
    tcflag_t *flags = field(&settings);
    *flags = on ? (*flags | flag) : (*flags & ~flag);
    tcsetattr(STDIN_FILENO, TCSANOW, &settings);
}

static tcflag_t *local(struct termios *settings) {
    return &settings->c_lflag;
}

static tcflag_t *output(struct termios *settings) {
    return &settings->c_oflag;
}

static void on_interrupt(int signal_number) {
    mp_sched_keyboard_interrupt();
}

// The terminal itself turns the byte 3 into SIGINT, but only while Python runs and has not switched that off with
// micropython.kbd_intr(-1); at all other times the byte is data. Called with CHAR_CTRL_C (3) or -1.
void __wrap_mp_hal_set_interrupt_char(char c) {
    struct sigaction action = {.sa_handler = c == CHAR_CTRL_C ? on_interrupt : SIG_IGN};
    if (c == CHAR_CTRL_C) {
        sigaction(SIGINT, &action, NULL);
        change_terminal(local, ISIG, true);
    } else {
        change_terminal(local, ISIG, false);
        sigaction(SIGINT, &action, NULL);
    }
}

// Lines end in CR LF for a person at the friendly REPL; programs started over the raw REPL get their bytes as they are.
void board_before_exec(int is_friendly) {
    change_terminal(output, OPOST | ONLCR, is_friendly);
}

void board_after_exec(void) {
    change_terminal(output, OPOST | ONLCR, false);
}

static void make_terminal_raw(void) {
    struct termios settings;
    ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    tcgetattr(STDIN_FILENO, &settings);
    cfmakeraw(&settings);
    settings.c_lflag |= NOFLSH;
    settings.c_cc[VINTR] = CHAR_CTRL_C;
    settings.c_cc[VQUIT] = settings.c_cc[VSUSP] = _POSIX_VDISABLE;
    tcsetattr(STDIN_FILENO, TCSANOW, &settings);
}

mp_obj_t __wrap_mp_vfs_rom_ioctl(size_t n_args, const mp_obj_t *args) {
    return romfs_ioctl(n_args, args);
}

// A file as memory-mapped flash: what is written to the ROMFS partition is there again after a restart.
static mp_obj_t board_map_romfs(mp_obj_t path) {
    int fd = open(mp_obj_str_get_str(path), O_RDWR | O_CREAT, 0644);
    if (fd < 0 || ftruncate(fd, ROMFS_BYTES) != 0) {
        mp_raise_OSError(errno);
    }
    void *memory = mmap(NULL, ROMFS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED) {
        mp_raise_OSError(errno);
    }
    romfs_init(memory, ROMFS_BYTES);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(board_map_romfs_obj, board_map_romfs);

static mp_obj_t board_serve(mp_obj_t raw_in) {
    make_terminal_raw();
    mp_hal_set_interrupt_char(-1);
    mp_vfs_mount_romfs_protected();
    if (mp_obj_is_true(raw_in)) {
        pyexec_mode_kind = PYEXEC_MODE_RAW_REPL;
    }
    int result = pyexec_file_if_exists("boot.py");
    if (!(result & PYEXEC_FORCED_EXIT) && pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        result = pyexec_file_if_exists("main.py");
    }
    while (!(result & PYEXEC_FORCED_EXIT)) {
        result = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl();
    }
    mp_hal_stdout_tx_str("MPY: soft reboot\r\n");
    return mp_obj_new_bool(pyexec_mode_kind == PYEXEC_MODE_RAW_REPL);
}
static MP_DEFINE_CONST_FUN_OBJ_1(board_serve_obj, board_serve);

static const mp_rom_map_elem_t board_globals_table[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_board)},
    {MP_ROM_QSTR(MP_QSTR_map_romfs), MP_ROM_PTR(&board_map_romfs_obj)},
    {MP_ROM_QSTR(MP_QSTR_serve), MP_ROM_PTR(&board_serve_obj)},
};
static MP_DEFINE_CONST_DICT(board_globals, board_globals_table);

const mp_obj_module_t board_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&board_globals,
};
MP_REGISTER_MODULE(MP_QSTR_board, board_module);
