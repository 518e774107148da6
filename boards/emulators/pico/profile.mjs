// Where cycles go: how many each instruction in RAM took, and everything in flash and in the boot ROM together.
const SRAM = 0x20000000;
const SLOTS = 0x42000 / 2;
const FLASH = SLOTS;
const ROM = SLOTS + 1;

export class Profile {
  constructor() {
    this.cycles = new Float64Array(SLOTS + 2);
    this.sign = 0;
  }

  // sign: 1 adds, -1 takes off, 0 stops
  count(sign, now) {
    this.sign = sign;
    this.before = now;
    this.slot = ROM;
  }

  // The core is at `pc`: what passed since it was last asked belongs to the instruction where it was then.
  at(pc, now) {
    this.cycles[this.slot] += (now - this.before) * this.sign;
    this.before = now;
    const offset = pc - SRAM >>> 0;
    this.slot = offset < 2 * SLOTS ? offset >>> 1 : pc >>> 28 ? FLASH : ROM;
  }

  // { sram: [[offset in bytes, cycles] ..], flash, rom }
  report() {
    const sram = [];
    this.cycles.subarray(0, SLOTS).forEach((n, i) => n && sram.push([2 * i, n]));
    return { sram, flash: this.cycles[FLASH], rom: this.cycles[ROM] };
  }
}
