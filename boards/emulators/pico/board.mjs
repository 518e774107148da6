// The board in the world: its power, the pace at which it runs, and the line to the one program that has it open.
import fs from 'node:fs';
import { Flash, PowerCut } from './flash.mjs';
import { Machine } from './machine.mjs';

const SLICE_CYCLES = 500_000; // between two looks at the sockets
const PROGRAM_NANOS = 10e9; // a program that main.py starts may never come to rest
const HIGH_WATER = 16 * 1024; // bytes under way before the sender has to wait
const SHORT_SLEEP_NANOS = 4e6; // sleeps are made up for together when there is this much of them

export class Board {
  constructor(bootromFile, firmwareFile, flashFile) {
    const rom = fs.readFileSync(bootromFile);
    this.bootrom = new Uint32Array(rom.buffer.slice(rom.byteOffset, rom.byteOffset + (rom.length & ~3)));
    this.flash = new Flash(flashFile, fs.readFileSync(firmwareFile));
    this.machine = null;
    this.powerCut = false;
    this.line = null;
    this.lineStays = false;
    this.up = false; // at rest for the first time since power-on: at its prompt, waiting for a key
    this.resets = 0;
    this.cyclesBefore = 0; // of the machines before the last reset
    this.timer = null;
    this.sleepingSince = null;
    this.owedNanos = 0; // emulated sleep that has not been slept
    this.onUp = () => {}; // called once
    this.onStop = () => {};
  }

  // ---- power ----

  powerOn(previous = null) {
    this.cyclesBefore += this.machine?.core.cycles ?? 0;
    this.powerCut = this.up = false;
    const events = { onData: (bytes) => this.fromBoard(bytes), onReady: () => this.enumerated() };
    this.machine = new Machine(this.bootrom, this.flash, events, previous);
    this.wake();
  }

  // On the USB cable a reset looks as if the board had been unplugged and plugged in again.
  reset(previous = null) {
    this.resets++;
    this.unplug();
    this.powerOn(previous);
  }

  cutPower() {
    this.powerCut = true;
    this.unplug();
  }

  unplug() {
    if (this.lineStays) {
      this.line.pause();
    } else {
      this.line?.destroy();
      this.line = null;
    }
  }

  get cycles() {
    return this.cyclesBefore + this.machine.core.cycles;
  }

  // ---- pace: as fast as it goes while the core works, real time while it sleeps ----

  // Time-outs on the board are then as long as programs on this side expect.
  wake() {
    if (this.sleepingSince !== null) {
      const slept = (performance.now() - this.sleepingSince) * 1e6;
      this.machine.clock.skip(Math.min(slept, this.machine.clock.nanosToNextAlarm));
      this.sleepingSince = null;
      clearTimeout(this.timer);
      this.timer = null;
    }
    this.timer ??= setImmediate(() => this.run());
  }

  sleep(nanos) {
    this.sleepingSince = performance.now();
    this.timer = setTimeout(() => this.wake(), Math.min((nanos + this.owedNanos) / 1e6, 2 ** 31 - 1));
    this.owedNanos = 0;
  }

  run() {
    this.timer = null;
    if (this.powerCut) {
      return;
    }
    try {
      const nanos = this.runUntilSleep();
      if (this.machine.resetRequested) {
        this.reset(this.machine);
      } else if (this.machine.stopped !== null) {
        this.onStop(this.machine.stopped);
      } else if (nanos === 0) {
        this.wake();
      } else {
        this.sleep(nanos);
      }
    } catch (error) {
      if (!(error instanceof PowerCut)) {
        throw error;
      }
      this.cutPower();
    }
  }

  // Returns how long the core sleeps, 0 if it does not.
  runUntilSleep() {
    const { machine } = this;
    let nanos = machine.run(SLICE_CYCLES);
    while (nanos && nanos + this.owedNanos < SHORT_SLEEP_NANOS) {
      this.owedNanos += nanos;
      machine.clock.skip(nanos);
      nanos = machine.run(SLICE_CYCLES);
    }
    if (nanos && !this.up && machine.usb.ready) {
      this.isUp();
      return 0;
    }
    return nanos;
  }

  // ---- the serial port ----

  enumerated() {
    if (this.up) {
      this.machine.usb.setOpen(this.line !== null);
    } else {
      this.patience = this.machine.clock.createAlarm(() => this.isUp());
      this.patience.schedule(PROGRAM_NANOS);
    }
  }

  isUp() {
    this.up = true;
    this.patience.cancel();
    this.machine.usb.setOpen(this.line !== null);
    this.line?.resume();
    this.onUp();
    this.onUp = () => {};
  }

  fromBoard(bytes) {
    if (this.line && this.up) {
      this.line.write(bytes);
      if (this.line.writableLength > HIGH_WATER) {
        this.machine.usb.setTaking(false);
      }
    }
  }

  // A line is a stream: the terminal that stays whatever happens, or the socket of one program at a time.
  connect(line, stays = false) {
    if (this.line || this.powerCut) {
      line.destroy();
      return;
    }
    this.line = line;
    this.lineStays = stays;
    line.on('data', (bytes) => this.fromLine(line, bytes));
    line.on('drain', () => this.setTaking(line));
    line.on('error', () => {});
    line.on('close', () => this.disconnected(line));
    if (this.up) {
      this.machine.usb.setOpen(true);
      this.wake();
    } else {
      line.pause(); // what it sends waits until the board is up
    }
  }

  disconnected(line) {
    if (this.line === line) {
      this.setTaking(line);
      this.line = null;
      if (this.up) {
        this.machine.usb.setOpen(false);
      }
    }
  }

  setTaking(line) {
    if (this.line === line) {
      this.machine.usb.setTaking(true);
      this.wake();
    }
  }

  fromLine(line, bytes) {
    if (this.line === line && this.up) {
      this.machine.usb.send(bytes);
      this.wake();
      if (this.machine.usb.pendingBytes > HIGH_WATER) {
        line.pause();
        this.resumeWhenTaken(line);
      }
    }
  }

  resumeWhenTaken(line) {
    if (this.line === line && this.machine.usb.pendingBytes > HIGH_WATER / 2) {
      setTimeout(() => this.resumeWhenTaken(line), 1);
    } else if (this.up) {
      line.resume();
    }
  }
}
