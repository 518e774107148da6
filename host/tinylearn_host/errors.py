"""What goes wrong, as a sentence and an exit code. `tinylearn --help` lists the codes."""

USAGE = 2
NO_BOARD = 3
SEVERAL_BOARDS = 4
PORT_BUSY = 5
WRONG_ARCHITECTURE = 6
NOT_ENOUGH_RAM = 7
NOT_ENOUGH_FLASH = 8
NO_ANSWER = 9
VERIFY_FAILED = 10
BAD_MODEL = 11
UNSUPPORTED_OPERATOR = 12
BAD_DATA = 13
BOARD_ERROR = 14
INTERRUPTED = 130  # as shells have it: 128 + SIGINT

MEANINGS = {
    USAGE: "the command line is wrong",
    NO_BOARD: "no board, or its emulator did not start",
    SEVERAL_BOARDS: "several boards match, none was chosen",
    PORT_BUSY: "the serial port is in use",
    WRONG_ARCHITECTURE: "the board cannot run the native modules we have",
    NOT_ENOUGH_RAM: "the model does not fit the board's RAM",
    NOT_ENOUGH_FLASH: "the model does not fit the board's flash",
    NO_ANSWER: "connection lost, or the board does not answer",
    VERIFY_FAILED: "what arrived on the board is not what was sent",
    BAD_MODEL: "the model file is damaged or not what it should be",
    UNSUPPORTED_OPERATOR: "the model has an operator that tinylearn does not do",
    BAD_DATA: "the data does not fit the model",
    BOARD_ERROR: "the program on the board raised an error",
    INTERRUPTED: "Ctrl-C",
}


class TinylearnError(Exception):
    """A sentence for the user (what is wrong, where, what to do) and the exit code that goes with it."""

    def __init__(self, message: str, exit_code: int = 1):
        super().__init__(message)
        self.exit_code = exit_code
