// One RP2040 from power-on to power-off: rp2040js's peripherals around our core, the boot ROM, the flash chip, the
// USB cable, and a peripheral of our own through which the ROM and benchmarks talk to the emulator.
import { BasePeripheral, RP2040 } from 'rp2040js';
import { Clock } from './clock.mjs';
import { CortexM0Plus } from './cortex_m0plus.mjs';
import { Profile } from './profile.mjs';
import { UsbHost } from './usb.mjs';

const WATCHDOG = 0x40058;
const EMULATOR = 0x4f000; // the peripheral's page, see bootrom/bootrom.h
const SIO_FIFO_STATUS = 0x50;
const SIO_FIFO_READ = 0x58;
const FIFO_VALID_AND_READY = 3;
const REASONS = {
  1: 'the board is in its USB boot loader (BOOTSEL): there is no serial port until it is reset',
  2: 'the boot ROM found no valid firmware in the flash',
  3: 'the boot ROM took an exception that nobody handles',
};

// Errors of the emulation, each once. Warnings are about registers that rp2040js leaves out and the firmware may touch.
class Logger {
  constructor() {
    this.seen = new Set();
  }
  debug() {}
  info() {}
  warn(name, message) {
    if (process.env.TINYLEARN_EMULATOR_VERBOSE) {
      this.error(name, message);
    }
  }
  error(name, message) {
    if (!this.seen.has(message)) {
      this.seen.add(message);
      console.error(`pico-emulated: ${name}: ${message}`);
    }
  }
}

class EmulatorPeripheral extends BasePeripheral {
  constructor(machine) {
    super(machine.mcu, 'EMULATOR');
    this.machine = machine;
    this.cyclesHigh = 0;
    this.offset = this.source = this.length = 0;
  }

  readUint32(register) {
    const { cycles } = this.machine.core;
    switch (register) {
      case 0x00:
        this.cyclesHigh = Math.floor(cycles / 2 ** 32);
        return cycles >>> 0;
      case 0x04:
        return this.cyclesHigh;
      default:
        return 0;
    }
  }

  writeUint32(register, value) {
    switch (register) {
      case 0x08:
        this.offset = value;
        break;
      case 0x0c:
        this.source = value >>> 0;
        break;
      case 0x10:
        this.length = value;
        break;
      case 0x14:
        this.flashCommand(value);
        break;
      case 0x18:
        this.machine.stop(REASONS[value] ?? `stopped by the board with ${value}`);
        break;
      case 0x1c:
        this.machine.count(value | 0);
        break;
    }
  }

  // The ROM waits for the chip, so its time passes on the core.
  flashCommand(command) {
    const { flash, core, clock, mcu } = this.machine;
    const nanos =
      command === 1
        ? flash.erase(this.offset, this.length)
        : flash.program(
            this.offset,
            Uint8Array.from({ length: this.length }, (_, i) => mcu.readUint8(this.source + i)),
          );
    core.stall(Math.round(nanos / clock.nanosPerCycle));
  }
}

// There is no second core, but the firmware waits for the zero that one sends when it comes out of reset.
function answerForSecondCore(sio) {
  const read = sio.readUint32.bind(sio);
  sio.readUint32 = (offset) =>
    offset === SIO_FIFO_STATUS ? FIFO_VALID_AND_READY : offset === SIO_FIFO_READ ? 0 : read(offset);
}

export class Machine {
  // `previous` is the machine that was reset; its watchdog registers survive.
  constructor(bootrom, flash, usbEvents, previous = null) {
    this.flash = flash;
    this.clock = new Clock();
    this.mcu = new RP2040(this.clock);
    this.mcu.logger = new Logger();
    this.core = this.mcu.core = this.clock.core = new CortexM0Plus(this.mcu);
    this.mcu.flash = flash.bytes;
    this.mcu.flash16 = new Uint16Array(flash.bytes.buffer);
    this.mcu.flashView = new DataView(flash.bytes.buffer);
    this.mcu.bootrom.set(bootrom);
    this.mcu.peripherals[EMULATOR] = new EmulatorPeripheral(this);
    this.mcu.addClockListener((hertz) => (this.clock.frequency = hertz));
    answerForSecondCore(this.mcu.sio);
    this.stopped = null; // the reason
    this.resetRequested = false;
    this.usb = new UsbHost(this.mcu, usbEvents);
    this.connectWatchdog(previous?.mcu.peripherals[WATCHDOG]);
    this.core.onFault = (reason) => console.error(`pico-emulated: HardFault: ${reason}`);
    this.core.onLockup = (reason) => this.stop(`the core locked up: ${reason}`);
    this.core.onBreakpoint = (code, pc) => this.stop(`breakpoint ${code} at 0x${pc.toString(16)}`);
    this.core.reset();
  }

  connectWatchdog(before) {
    const watchdog = this.mcu.peripherals[WATCHDOG];
    if (before) {
      watchdog.scratchData.set(before.scratchData);
      watchdog.reason = before.reason;
    }
    watchdog.onWatchdogTrigger = () => {
      watchdog.alarm.enable = false;
      this.resetRequested = true;
      this.core.waiting = true;
      this.core.pause();
    };
  }

  stop(reason) {
    this.stopped ??= reason;
    this.core.waiting = true;
    this.core.pause();
  }

  // Profile: cycles are added from now on (1), taken off (-1), or not counted (0).
  count(sign) {
    this.profile ??= new Profile();
    this.profile.count(sign, this.core.cycles);
    this.core.profile = sign ? this.profile : null;
    this.core.pause(); // the core looks at it when it goes on
  }

  get running() {
    return this.stopped === null && !this.resetRequested;
  }

  // Runs for about `cycles`. Returns the nanoseconds until the next alarm if the core sleeps before that (Infinity if
  // there is none), else 0.
  run(cycles) {
    const { core, clock } = this;
    const end = core.cycles + cycles;
    while (core.cycles < end && this.running) {
      clock.ring();
      core.run(Math.min(end, Math.max(clock.nextAlarmCycle, core.cycles + 1)));
      if (core.waiting && this.running) {
        return clock.nanosToNextAlarm;
      }
    }
    return 0;
  }
}
