// The emulated Pico as a serial port: its USB serial on a TCP socket, a control channel on another one.
//
//   node bridge.mjs BOOTROM FIRMWARE STATE [PORT]
//
// STATE is a folder: flash.bin is the board's flash, control.json says where the control channel is. Prints the
// port's address when the board is up; ends when stdin closes, on SIGTERM, and when the board stops for good.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { ControlServer } from './control.mjs';
import { Flash, PowerCut } from './flash.mjs';
import { Machine } from './machine.mjs';

const SLICE_CYCLES = 500_000;
const PROGRAM_NANOS = 10e9; // a program that main.py starts may never come to rest
const SOCKET_HIGH_WATER = 64 * 1024;
const LAG_NANOS = 4e6; // sleeps shorter than this are made up for later

class Board {
  constructor(bootromFile, firmwareFile, state) {
    const rom = fs.readFileSync(bootromFile);
    this.bootrom = new Uint32Array(rom.buffer.slice(rom.byteOffset, rom.byteOffset + (rom.length & ~3)));
    this.flash = new Flash(path.join(state, 'flash.bin'), fs.readFileSync(firmwareFile));
    this.socket = null;
    this.resets = 0;
    this.cyclesBefore = 0; // of the machines before the last reset
    this.upCallback = null;
    this.timer = null;
    this.owedNanos = 0; // emulated sleep that has not been slept
    this.machine = null;
  }

  // ---- power ----

  powerOn(previous = null) {
    this.cyclesBefore += this.machine?.core.cycles ?? 0;
    this.up = false;
    this.machine = new Machine(
      this.bootrom,
      this.flash,
      { onData: (bytes) => this.fromBoard(bytes), onReady: () => this.enumerated() },
      previous,
    );
    this.wake();
  }

  // The USB cable sees a reset as the device going away.
  reset(previous = null) {
    this.resets++;
    this.socket?.destroy();
    this.powerOn(previous);
  }

  powerOff(reason) {
    this.machine.stop(reason);
    this.socket?.destroy();
  }

  get cycles() {
    return this.cyclesBefore + this.machine.core.cycles;
  }

  // ---- running ----

  wake() {
    if (this.timer !== null) {
      clearTimeout(this.timer);
      clearImmediate(this.timer);
      if (this.sleepingSince !== undefined) {
        const slept = Math.min((performance.now() - this.sleepingSince) * 1e6, this.machine.clock.nanosToNextAlarm);
        this.machine.clock.skip(slept);
      }
    }
    this.sleepingSince = undefined;
    this.timer = setImmediate(() => this.run());
  }

  run() {
    this.timer = null;
    let sleep = 0;
    try {
      sleep = this.machine.run(SLICE_CYCLES);
      while (sleep && sleep + this.owedNanos < LAG_NANOS && this.machine.running) {
        this.owedNanos += sleep;
        this.machine.clock.skip(sleep);
        sleep = this.machine.run(SLICE_CYCLES);
      }
      if (sleep && !this.up && this.machine.usb.ready) {
        this.isUp();
        sleep = 0;
      }
    } catch (error) {
      if (!(error instanceof PowerCut)) {
        throw error;
      }
      this.powerOff('power cut');
      return;
    }
    if (this.machine.resetRequested) {
      this.reset(this.machine);
    } else if (this.machine.stopped !== null) {
      console.error(`pico-emulated: ${this.machine.stopped}`);
      quit(3);
    } else if (sleep === 0) {
      this.timer = setImmediate(() => this.run());
    } else if (sleep !== Infinity) {
      // The emulated board sleeps as long as a real one, so that its time-outs are what programs on this side expect.
      this.sleepingSince = performance.now();
      const milliseconds = Math.max((sleep + this.owedNanos) / 1e6, 0);
      this.owedNanos = 0;
      this.timer = setTimeout(() => this.wake(), Math.min(milliseconds, 2 ** 31 - 1));
    }
  }

  // ---- the serial port ----

  // The board counts as up when it has come to rest: at its prompt, waiting for a key.
  enumerated() {
    this.patience = this.machine.clock.createAlarm(() => this.isUp());
    this.patience.schedule(PROGRAM_NANOS);
  }

  isUp() {
    if (!this.up) {
      this.up = true;
      this.patience.cancel();
      this.machine.usb.setOpen(this.socket !== null);
      this.socket?.resume();
      this.upCallback?.();
      this.upCallback = null;
    }
  }

  fromBoard(bytes) {
    if (this.up && this.socket) {
      this.socket.write(bytes);
      if (this.socket.writableLength > SOCKET_HIGH_WATER) {
        this.machine.usb.setTaking(false);
      }
    }
  }

  // One program at a time, as with a serial port.
  connect(socket) {
    if (this.socket || this.machine.stopped !== null) {
      socket.destroy();
      return;
    }
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      this.machine.usb.send(bytes);
      if (this.machine.usb.pendingBytes > SOCKET_HIGH_WATER) {
        socket.pause();
        this.resumeWhenTaken(socket);
      }
      this.wake();
    });
    socket.on('drain', () => {
      this.machine.usb.setTaking(true);
      this.wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.socket = null;
      this.machine.usb.setTaking(true);
      if (this.up) {
        this.machine.usb.setOpen(false);
        this.wake();
      }
    });
    if (this.up) {
      this.machine.usb.setOpen(true);
      this.wake();
    } else {
      socket.pause(); // until the board is up again
    }
  }

  resumeWhenTaken(socket) {
    if (this.machine.usb.pendingBytes > SOCKET_HIGH_WATER / 2) {
      setTimeout(() => this.resumeWhenTaken(socket), 1);
    } else {
      socket.resume();
    }
  }
}

function quit(code) {
  fs.rmSync(controlFile, { force: true });
  process.exit(code);
}

const [, , bootrom, firmware, state, port = '0'] = process.argv;
const controlFile = path.join(state, 'control.json');
const board = new Board(bootrom, firmware, state);
const serial = net.createServer((socket) => board.connect(socket));
const control = new ControlServer(board);

process.on('SIGTERM', () => quit(0));
process.on('SIGINT', () => quit(0));
process.stdin.on('end', () => quit(0));
process.stdin.on('error', () => quit(0));
process.stdin.resume();

serial.on('error', (error) => {
  console.error(`pico-emulated: cannot listen on port ${port}: ${error.message}`);
  quit(1);
});
serial.listen({ host: '127.0.0.1', port: Number(port) }, () => {
  control.listen((controlPort) => {
    const about = { pid: process.pid, serial: serial.address().port, control: controlPort };
    fs.writeFileSync(controlFile, `${JSON.stringify(about)}\n`);
    board.upCallback = () => console.log(`socket://127.0.0.1:${serial.address().port}`);
    board.powerOn();
  });
});
