// The control channel: one JSON object per line in, one out. It is for tests and benchmarks; see control.py.
import net from 'node:net';
import readline from 'node:readline';

export class ControlServer {
  constructor(board) {
    this.board = board;
    this.server = net.createServer((socket) => {
      socket.on('error', () => {});
      readline.createInterface({ input: socket }).on('line', (line) => {
        socket.write(`${JSON.stringify(this.answer(line))}\n`);
      });
    });
  }

  listen(done) {
    this.server.listen({ host: '127.0.0.1', port: 0 }, () => done(this.server.address().port));
  }

  answer(line) {
    try {
      const { cmd, ...options } = JSON.parse(line);
      if (!Object.hasOwn(commands, cmd)) {
        return { error: `unknown command ${cmd}, known are ${Object.keys(commands).join(', ')}` };
      }
      return { ok: true, ...commands[cmd](this.board, options) };
    } catch (error) {
      return { error: error.message };
    }
  }
}

const commands = {
  // Cycles since the emulator was started, and emulated nanoseconds since the last reset
  cycles: (board) => ({ cycles: board.cycles, nanos: board.machine.clock.nanos }),

  status: (board) => ({
    up: board.up,
    stopped: board.machine.stopped,
    sleeping: board.machine.core.waiting,
    resets: board.resets,
    flash: board.flash.counters,
  }),

  // Power off and on again
  reset: (board) => {
    board.reset();
    return {};
  },

  // Cut the power after `after` more flash operations, when `fraction` of the next one is done. `reset` brings it back.
  cut: (board, { after, fraction = 0 }) => {
    if (!Number.isInteger(after) || after < 0 || !(fraction >= 0 && fraction <= 1)) {
      throw new Error('cut needs after >= 0, the number of flash operations, and a fraction from 0 to 1');
    }
    board.flash.cutAfter(after, fraction);
    return {};
  },
};
