// The control channel: one JSON object per line in, one out. It is for tests and benchmarks; see control.py.
import net from 'node:net';
import readline from 'node:readline';

const commands = {
  // Core cycles since the emulator was started, and emulated nanoseconds since the board's last reset
  cycles: (board) => ({ cycles: board.cycles, nanos: board.machine.clock.nanos }),

  status: (board) => ({
    up: board.up,
    power: !board.powerCut,
    sleeping: board.machine.core.waiting,
    resets: board.resets,
    ...board.flash.counters,
  }),

  // Where cycles went since the last such question while the board had them counted (machine.mjs), and the RAM in which
  // to look up whose they are
  profile: ({ machine }) => {
    const report = machine.profile?.report() ?? { sram: [], flash: 0, rom: 0 };
    machine.profile = null;
    return { ...report, memory: Buffer.from(machine.mcu.sram).toString('base64') };
  },

  // Power off and on again
  reset: (board) => board.reset(),

  // Cut the power after `after` more flash operations (a sector erased, a page programmed), when `fraction` of the next
  // one is done. `reset` brings it back.
  cut: (board, { after, fraction = 0 }) => {
    if (!Number.isInteger(after) || after < 0 || !(fraction >= 0 && fraction <= 1)) {
      throw new Error('cut needs after >= 0, a number of flash operations, and a fraction from 0 to 1');
    }
    board.flash.cutAfter(after, fraction);
  },
};

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
        throw new Error(`unknown command ${cmd}, known are ${Object.keys(commands).join(', ')}`);
      }
      return { ok: true, ...commands[cmd](this.board, options) };
    } catch (error) {
      return { ok: false, error: error.message };
    }
  }
}
