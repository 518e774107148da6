// The Cortex-M0+ core: ARMv6-M instructions and exceptions with the cycle counts of ARM's Technical Reference Manual
// (single-cycle multiplier, memory without wait states). It takes the place of rp2040js's own core, which has the same
// interface towards the peripherals, because it is several times faster, counts PUSH {.., LR} and POP {.., PC} in full,
// has the carry and overflow flags right in all corners, and reports faults.
//
// cycles = end - budget: the inner loop counts a small integer down, and whoever wants the loop to come up for air
// (an interrupt, an earlier alarm) calls pause().

const SRAM = 0x20000000;
const FLASH = 0x10000000;
const HARD_FAULT = 3;
const SV_CALL = 11;
const PEND_SV = 14;
const SYS_TICK = 15;
const FIRST_IRQ = 16;
const FIRST_SOFTWARE_IRQ = 26; // these have no line that would keep them pending
const LOWEST_PRIORITY = 4;
const EXCEPTION_ENTRY_CYCLES = 15;

const bitCount = new Uint8Array(256).map((_, i) => [...i.toString(2)].filter((bit) => bit === '1').length);

export class CortexM0Plus {
  constructor(rp2040) {
    this.rp2040 = rp2040;
    this.registers = new Int32Array(16);
    this.end = 0;
    this.budget = 0;
    // flags: N is nz < 0 and Z is nz === 0
    this.nz = 1;
    this.carry = 0;
    this.overflow = 0;
    this.primask = 0;
    this.handlerMode = false;
    this.processStack = false; // CONTROL.SPSEL
    this.bankedSP = 0;
    this.unprivileged = false;
    this.eventRegistered = false;
    this.faultReason = null;
    this.profile = null; // or a Profile that is asked before every instruction
    this.onFault = () => {};
    this.onLockup = () => {};
    this.onBreakpoint = () => {};

    // read and written by rp2040js's peripherals
    this.waiting = false;
    this.IPSR = 0;
    this.pendingInterrupts = 0;
    this.enabledInterrupts = 0;
    this.interruptPriorities = [-1, 0, 0, 0]; // by priority, the set of interrupts that have it
    this.pendingNMI = false;
    this.pendingSVCall = false;
    this.pendingPendSV = false;
    this.pendingSystick = false;
    this.VTOR = 0;
    this.SHPR2 = 0;
    this.SHPR3 = 0;
  }

  // memory is plain arrays for the inner loop: call again when rp2040's change
  mapMemory() {
    const { bootrom, sram, flash } = this.rp2040;
    this.rom16 = new Uint16Array(bootrom.buffer);
    this.sram8 = sram;
    this.sram16 = new Uint16Array(sram.buffer);
    this.sram32 = new Int32Array(sram.buffer);
    this.flash8 = flash;
    this.flash16 = new Uint16Array(flash.buffer);
    this.flash32 = new Int32Array(flash.buffer);
  }

  reset() {
    this.mapMemory();
    this.registers[13] = this.rp2040.readUint32(this.VTOR) & ~3;
    this.registers[15] = this.rp2040.readUint32(this.VTOR + 4) & ~1;
  }

  get cycles() {
    return this.end - this.budget;
  }

  // rp2040js's divider adds its 8 cycles here, but code that uses the divider spends them waiting for it.
  set cycles(_) {}

  stall(cycles) {
    this.end += cycles;
  }

  pause() {
    this.end -= this.budget;
    this.budget = 0;
  }

  set interruptsUpdated(value) {
    if (value) {
      this.pause();
    }
  }

  // Runs until `cycles` reaches `limit`, or the core waits, or somebody calls pause().
  run(limit) {
    if (this.faultReason !== null) {
      this.enterFault();
    } else {
      this.enterPendingException();
    }
    if (this.waiting) {
      return;
    }
    const now = this.cycles;
    this.end = limit;
    this.budget = limit - now;
    this.execute();
  }

  // ---- exceptions ----

  setInterrupt(irq, value) {
    const bit = 1 << irq;
    if (!value) {
      this.pendingInterrupts &= ~bit;
    } else if (!(this.pendingInterrupts & bit)) {
      this.pendingInterrupts |= bit;
      this.pause();
    }
  }

  exceptionPriority(number) {
    switch (number) {
      case 0:
        return LOWEST_PRIORITY;
      case 2:
      case HARD_FAULT:
        return -1;
      case SV_CALL:
        return this.SHPR2 >>> 30;
      case PEND_SV:
        return (this.SHPR3 >>> 22) & 3;
      case SYS_TICK:
        return this.SHPR3 >>> 30;
      default:
        return this.interruptPriorities.findIndex((set) => set & (1 << (number - FIRST_IRQ)));
    }
  }

  // The pending exception of the highest priority above `limit` (a smaller number is a higher priority), or 0
  pendingException(limit) {
    if (this.pendingNMI && limit > -1) {
      return 2;
    }
    const irqs = this.pendingInterrupts & this.enabledInterrupts;
    if (!irqs && !this.pendingSVCall && !this.pendingPendSV && !this.pendingSystick) {
      return 0;
    }
    for (let priority = 0; priority < limit; priority++) {
      if (this.pendingSVCall && this.exceptionPriority(SV_CALL) === priority) {
        return SV_CALL;
      }
      if (this.pendingPendSV && this.exceptionPriority(PEND_SV) === priority) {
        return PEND_SV;
      }
      if (this.pendingSystick && this.exceptionPriority(SYS_TICK) === priority) {
        return SYS_TICK;
      }
      const here = irqs & this.interruptPriorities[priority];
      if (here) {
        return FIRST_IRQ + 31 - Math.clz32(here & -here);
      }
    }
    return 0;
  }

  get vectPending() {
    return this.pendingException(LOWEST_PRIORITY);
  }

  enterPendingException() {
    const active = this.exceptionPriority(this.IPSR);
    if (this.waiting && this.pendingException(active)) {
      this.waiting = false; // even if PRIMASK keeps the exception itself away
    }
    const number = this.pendingException(this.primask ? Math.min(active, 0) : active);
    switch (number) {
      case 0:
        return;
      case 2:
        this.pendingNMI = false;
        break;
      case SV_CALL:
        this.pendingSVCall = false;
        break;
      case PEND_SV:
        this.pendingPendSV = false;
        break;
      case SYS_TICK:
        this.pendingSystick = false;
        break;
      default:
        if (number >= FIRST_IRQ + FIRST_SOFTWARE_IRQ) {
          this.pendingInterrupts &= ~(1 << (number - FIRST_IRQ));
        }
    }
    this.enterException(number);
  }

  fault(reason) {
    if (this.faultReason === null) {
      this.faultReason = reason;
    }
    this.pause();
    return -1;
  }

  enterFault() {
    const reason = this.faultReason;
    this.faultReason = null;
    if (this.IPSR === HARD_FAULT || this.IPSR === 2) {
      this.onLockup(reason);
      this.waiting = true;
      return;
    }
    this.onFault(reason);
    this.enterException(HARD_FAULT);
  }

  get psr() {
    const nz = (this.nz < 0 ? 0x80000000 : 0) | (this.nz === 0 ? 0x40000000 : 0);
    return nz | (this.carry << 29) | (this.overflow << 28);
  }

  set psr(value) {
    this.nz = value < 0 ? -1 : value & 0x40000000 ? 0 : 1;
    this.carry = (value >>> 29) & 1;
    this.overflow = (value >>> 28) & 1;
  }

  useProcessStack(yes) {
    if (this.processStack !== yes) {
      const sp = this.registers[13];
      this.registers[13] = this.bankedSP;
      this.bankedSP = sp;
      this.processStack = yes;
    }
  }

  enterException(number) {
    const r = this.registers;
    const aligned = r[13] & 4 ? 1 << 9 : 0;
    const frame = (r[13] - 32) & ~7;
    const saved = [r[0], r[1], r[2], r[3], r[12], r[14], r[15], this.psr | this.IPSR | aligned | (1 << 24)];
    saved.forEach((value, i) => this.store32(frame + 4 * i, value));
    r[13] = frame;
    r[14] = this.handlerMode ? 0xfffffff1 : this.processStack ? 0xfffffffd : 0xfffffff9;
    this.handlerMode = true;
    this.IPSR = number;
    this.useProcessStack(false);
    this.eventRegistered = true;
    this.waiting = false;
    r[15] = this.load32(this.VTOR + 4 * number) & ~1;
    this.stall(EXCEPTION_ENTRY_CYCLES);
  }

  returnFromException(code) {
    this.useProcessStack((code & 0xf) === 0xd);
    this.handlerMode = (code & 0xf) === 1;
    const r = this.registers;
    const frame = r[13];
    const saved = [];
    for (let i = 0; i < 8; i++) {
      saved.push(this.load32(frame + 4 * i));
    }
    [r[0], r[1], r[2], r[3], r[12], r[14]] = saved;
    r[15] = saved[6] & ~1;
    r[13] = (frame + 32) | (saved[7] & (1 << 9) ? 4 : 0);
    this.psr = saved[7];
    this.IPSR = saved[7] & 0x3f;
    this.eventRegistered = true;
    this.pause(); // another exception may be pending
  }

  readSpecial(register) {
    switch (register) {
      case 0:
      case 2:
        return this.psr;
      case 1:
      case 3:
        return this.psr | this.IPSR;
      case 5:
      case 7:
        return this.IPSR;
      case 8:
        return this.processStack ? this.bankedSP : this.registers[13];
      case 9:
        return this.processStack ? this.registers[13] : this.bankedSP;
      case 16:
        return this.primask;
      case 20:
        return (this.processStack ? 2 : 0) | (this.unprivileged ? 1 : 0);
      default:
        return 0;
    }
  }

  writeSpecial(register, value) {
    switch (register) {
      case 0:
      case 1:
      case 2:
      case 3:
        this.psr = value;
        break;
      case 8:
      case 9:
        if (this.processStack === (register === 9)) {
          this.registers[13] = value & ~3;
        } else {
          this.bankedSP = value & ~3;
        }
        break;
      case 16:
        this.primask = value & 1;
        this.pause();
        break;
      case 20:
        this.unprivileged = !!(value & 1);
        if (!this.handlerMode) {
          this.useProcessStack(!!(value & 2));
        }
        break;
    }
  }

  // ---- memory beyond the inner loop's short cuts ----

  // Extra cycles of a load or store: none on the single-cycle IO port, more on the APB bridge
  static accessCycles(address, write) {
    const region = address >>> 28;
    return region === 0xd ? 0 : region === 4 ? (write ? 4 : 3) : 1;
  }

  mapped(address) {
    const a = address >>> 0;
    return (
      a < 0x4000 ||
      (a >= FLASH && a < 0x15004000) ||
      a - SRAM >>> 0 < 0x42000 ||
      a >>> 12 === 0x50100 ||
      a >>> 28 === 0xd ||
      a >>> 12 === 0xe000e ||
      this.rp2040.findPeripheral(a) !== undefined
    );
  }

  check(address, size, what) {
    if (address & (size - 1)) {
      this.fault(`unaligned ${8 * size}-bit ${what} at 0x${(address >>> 0).toString(16)}`);
      return false;
    }
    if (!this.mapped(address)) {
      this.fault(`${what} at 0x${(address >>> 0).toString(16)}, where nothing is`);
      return false;
    }
    return true;
  }

  load32(address) {
    const offset = address - SRAM >>> 0;
    if (offset < 0x42000 && !(address & 3)) {
      return this.sram32[offset >> 2];
    }
    const inFlash = address - FLASH >>> 0;
    if (inFlash < 0x1000000 && !(address & 3)) {
      return this.flash32[inFlash >> 2];
    }
    return this.check(address, 4, 'read') ? this.rp2040.readUint32(address >>> 0) | 0 : -1;
  }

  load16(address) {
    const inFlash = address - FLASH >>> 0;
    if (inFlash < 0x1000000 && !(address & 1)) {
      return this.flash16[inFlash >> 1];
    }
    return this.check(address, 2, 'read') ? this.rp2040.readUint16(address >>> 0) : 0xffff;
  }

  load8(address) {
    const inFlash = address - FLASH >>> 0;
    if (inFlash < 0x1000000) {
      return this.flash8[inFlash];
    }
    return this.check(address, 1, 'read') ? this.rp2040.readUint8(address >>> 0) : 0xff;
  }

  store32(address, value) {
    const offset = address - SRAM >>> 0;
    if (offset < 0x42000 && !(address & 3)) {
      this.sram32[offset >> 2] = value;
    } else if (this.check(address, 4, 'write') && !this.readOnly(address)) {
      this.rp2040.writeUint32(address >>> 0, value >>> 0);
    }
  }

  store16(address, value) {
    if (this.check(address, 2, 'write') && !this.readOnly(address)) {
      this.rp2040.writeUint16(address >>> 0, value & 0xffff);
    }
  }

  store8(address, value) {
    if (this.check(address, 1, 'write') && !this.readOnly(address)) {
      this.rp2040.writeUint8(address >>> 0, value & 0xff);
    }
  }

  // Stores to ROM and to the flash window change nothing.
  readOnly(address) {
    return address >>> 0 < 0x14000000;
  }

  // ---- instructions ----

  // The memory that instructions at `pc` come from: 16-bit array and its first address
  codeAt(pc) {
    if (pc - FLASH >>> 0 < 0x1000000) {
      return [this.flash16, FLASH];
    }
    if (pc - SRAM >>> 0 < 0x42000) {
      return [this.sram16, SRAM];
    }
    return pc >>> 0 < 0x4000 ? [this.rom16, 0] : null;
  }

  execute() {
    const r = this.registers;
    const { sram8, sram16, sram32, profile } = this;
    let { budget, nz, carry, overflow } = this;
    let pc = r[15];
    let code = this.rom16;
    let codeBase = 0;

    while (budget > 0) {
      if (profile !== null) {
        profile.at(pc, this.end - budget);
      }
      let index = (pc - codeBase) >>> 1;
      if (index >= code.length) {
        const found = this.codeAt(pc);
        if (found === null) {
          this.budget = budget;
          this.fault(`execution at 0x${(pc >>> 0).toString(16)}, where no code is`);
          budget = this.budget;
          break;
        }
        [code, codeBase] = found;
        index = (pc - codeBase) >>> 1;
      }
      const op = code[index];
      pc = (pc + 2) | 0;
      budget--;

      switch (op >>> 8) {
        // LSLS Rd, Rm, #imm5 (MOVS Rd, Rm)
        case 0x00: case 0x01: case 0x02: case 0x03: case 0x04: case 0x05: case 0x06: case 0x07: {
          const shift = (op >>> 6) & 31;
          const value = r[(op >>> 3) & 7];
          if (shift) {
            carry = (value >>> (32 - shift)) & 1;
          }
          r[op & 7] = nz = value << shift;
          break;
        }
        // LSRS Rd, Rm, #imm5
        case 0x08: case 0x09: case 0x0a: case 0x0b: case 0x0c: case 0x0d: case 0x0e: case 0x0f: {
          const shift = (op >>> 6) & 31;
          const value = r[(op >>> 3) & 7];
          carry = (value >>> ((shift - 1) & 31)) & 1;
          r[op & 7] = nz = shift ? value >>> shift | 0 : 0;
          break;
        }
        // ASRS Rd, Rm, #imm5
        case 0x10: case 0x11: case 0x12: case 0x13: case 0x14: case 0x15: case 0x16: case 0x17: {
          const shift = (op >>> 6) & 31;
          const value = r[(op >>> 3) & 7];
          carry = (value >>> ((shift - 1) & 31)) & 1;
          r[op & 7] = nz = value >> (shift || 31);
          break;
        }
        // ADDS Rd, Rn, Rm
        case 0x18: case 0x19: {
          const a = r[(op >>> 3) & 7];
          const b = r[(op >>> 6) & 7];
          const sum = (a + b) | 0;
          carry = sum >>> 0 < a >>> 0 ? 1 : 0;
          overflow = ((a ^ sum) & (b ^ sum)) >>> 31;
          r[op & 7] = nz = sum;
          break;
        }
        // SUBS Rd, Rn, Rm
        case 0x1a: case 0x1b: {
          const a = r[(op >>> 3) & 7];
          const b = r[(op >>> 6) & 7];
          carry = a >>> 0 >= b >>> 0 ? 1 : 0;
          nz = (a - b) | 0;
          overflow = ((a ^ b) & (a ^ nz)) >>> 31;
          r[op & 7] = nz;
          break;
        }
        // ADDS Rd, Rn, #imm3
        case 0x1c: case 0x1d: {
          const a = r[(op >>> 3) & 7];
          const b = (op >>> 6) & 7;
          const sum = (a + b) | 0;
          carry = sum >>> 0 < a >>> 0 ? 1 : 0;
          overflow = (~a & sum) >>> 31;
          r[op & 7] = nz = sum;
          break;
        }
        // SUBS Rd, Rn, #imm3
        case 0x1e: case 0x1f: {
          const a = r[(op >>> 3) & 7];
          const b = (op >>> 6) & 7;
          carry = a >>> 0 >= b ? 1 : 0;
          nz = (a - b) | 0;
          overflow = (a & ~nz) >>> 31;
          r[op & 7] = nz;
          break;
        }
        // MOVS Rd, #imm8
        case 0x20: case 0x21: case 0x22: case 0x23: case 0x24: case 0x25: case 0x26: case 0x27:
          r[(op >>> 8) & 7] = nz = op & 0xff;
          break;
        // CMP Rn, #imm8
        case 0x28: case 0x29: case 0x2a: case 0x2b: case 0x2c: case 0x2d: case 0x2e: case 0x2f: {
          const a = r[(op >>> 8) & 7];
          const b = op & 0xff;
          carry = a >>> 0 >= b ? 1 : 0;
          nz = (a - b) | 0;
          overflow = (a & ~nz) >>> 31;
          break;
        }
        // ADDS Rdn, #imm8
        case 0x30: case 0x31: case 0x32: case 0x33: case 0x34: case 0x35: case 0x36: case 0x37: {
          const a = r[(op >>> 8) & 7];
          const sum = (a + (op & 0xff)) | 0;
          carry = sum >>> 0 < a >>> 0 ? 1 : 0;
          overflow = (~a & sum) >>> 31;
          r[(op >>> 8) & 7] = nz = sum;
          break;
        }
        // SUBS Rdn, #imm8
        case 0x38: case 0x39: case 0x3a: case 0x3b: case 0x3c: case 0x3d: case 0x3e: case 0x3f: {
          const a = r[(op >>> 8) & 7];
          const b = op & 0xff;
          carry = a >>> 0 >= b ? 1 : 0;
          nz = (a - b) | 0;
          overflow = (a & ~nz) >>> 31;
          r[(op >>> 8) & 7] = nz;
          break;
        }
        // data processing, Rdn and Rm
        case 0x40: case 0x41: case 0x42: case 0x43: {
          const d = op & 7;
          const a = r[d];
          const b = r[(op >>> 3) & 7];
          switch ((op >>> 6) & 15) {
            case 0: // ANDS
              r[d] = nz = a & b;
              break;
            case 1: // EORS
              r[d] = nz = a ^ b;
              break;
            case 2: { // LSLS
              const shift = b & 0xff;
              if (shift) {
                carry = shift > 32 ? 0 : (a >>> (32 - shift)) & 1;
              }
              r[d] = nz = shift > 31 ? 0 : a << shift;
              break;
            }
            case 3: { // LSRS
              const shift = b & 0xff;
              if (shift) {
                carry = shift > 32 ? 0 : (a >>> (shift - 1)) & 1;
              }
              r[d] = nz = shift > 31 ? 0 : a >>> shift | 0;
              break;
            }
            case 4: { // ASRS
              const shift = b & 0xff;
              if (shift) {
                carry = (shift > 31 ? a >>> 31 : a >>> (shift - 1)) & 1;
              }
              r[d] = nz = a >> (shift > 31 ? 31 : shift);
              break;
            }
            case 5: { // ADCS
              const sum = a + b + carry;
              carry = (a >>> 0) + (b >>> 0) + carry > 0xffffffff ? 1 : 0;
              nz = sum | 0;
              overflow = ((a ^ nz) & (b ^ nz)) >>> 31;
              r[d] = nz;
              break;
            }
            case 6: { // SBCS
              const borrow = 1 - carry;
              carry = a >>> 0 >= (b >>> 0) + borrow ? 1 : 0;
              nz = (a - b - borrow) | 0;
              overflow = ((a ^ b) & (a ^ nz)) >>> 31;
              r[d] = nz;
              break;
            }
            case 7: { // RORS
              const shift = b & 0xff;
              nz = shift & 31 ? (a >>> (shift & 31)) | (a << (32 - (shift & 31))) : a;
              if (shift) {
                carry = nz >>> 31;
              }
              r[d] = nz;
              break;
            }
            case 8: // TST
              nz = a & b;
              break;
            case 9: // RSBS Rd, Rn, #0
              carry = b === 0 ? 1 : 0;
              nz = -b | 0;
              overflow = (b & nz) >>> 31;
              r[d] = nz;
              break;
            case 10: // CMP
              carry = a >>> 0 >= b >>> 0 ? 1 : 0;
              nz = (a - b) | 0;
              overflow = ((a ^ b) & (a ^ nz)) >>> 31;
              break;
            case 11: { // CMN
              nz = (a + b) | 0;
              carry = nz >>> 0 < a >>> 0 ? 1 : 0;
              overflow = ((a ^ nz) & (b ^ nz)) >>> 31;
              break;
            }
            case 12: // ORRS
              r[d] = nz = a | b;
              break;
            case 13: // MULS
              r[d] = nz = Math.imul(a, b);
              break;
            case 14: // BICS
              r[d] = nz = a & ~b;
              break;
            case 15: // MVNS
              r[d] = nz = ~b;
              break;
          }
          break;
        }
        // ADD Rdn, Rm (any register)
        case 0x44: {
          const d = (op & 7) | ((op >>> 4) & 8);
          const m = (op >>> 3) & 15;
          const sum = ((d === 15 ? pc + 2 : r[d]) + (m === 15 ? pc + 2 : r[m])) | 0;
          if (d === 15) {
            pc = sum & ~1;
            budget--;
          } else {
            r[d] = d === 13 ? sum & ~3 : sum;
          }
          break;
        }
        // CMP Rn, Rm (any register)
        case 0x45: {
          const n = (op & 7) | ((op >>> 4) & 8);
          const m = (op >>> 3) & 15;
          const a = n === 15 ? pc + 2 : r[n];
          const b = m === 15 ? pc + 2 : r[m];
          carry = a >>> 0 >= b >>> 0 ? 1 : 0;
          nz = (a - b) | 0;
          overflow = ((a ^ b) & (a ^ nz)) >>> 31;
          break;
        }
        // MOV Rd, Rm (any register)
        case 0x46: {
          const d = (op & 7) | ((op >>> 4) & 8);
          const m = (op >>> 3) & 15;
          const value = m === 15 ? pc + 2 : r[m];
          if (d === 15) {
            pc = value & ~1;
            budget--;
          } else {
            r[d] = d === 13 ? value & ~3 : value;
          }
          break;
        }
        // BX Rm, BLX Rm
        case 0x47: {
          const m = (op >>> 3) & 15;
          const target = m === 15 ? pc + 2 : r[m];
          budget--;
          if (op & 0x80) {
            r[14] = pc | 1;
            pc = target & ~1;
          } else if (this.handlerMode && target >>> 28 === 0xf) {
            r[15] = pc;
            this.budget = budget;
            this.returnFromException(target);
            ({ budget, nz, carry, overflow } = this);
            pc = r[15];
          } else {
            pc = target & ~1;
          }
          break;
        }
        // LDR Rt, [PC, #imm8]
        case 0x48: case 0x49: case 0x4a: case 0x4b: case 0x4c: case 0x4d: case 0x4e: case 0x4f: {
          const at = ((((pc + 2) & ~3) - codeBase) >>> 1) + ((op & 0xff) << 1);
          r[(op >>> 8) & 7] = code[at] | (code[at + 1] << 16);
          budget--;
          break;
        }
        // STR Rt, [Rn, Rm]
        case 0x50: case 0x51: {
          const address = r[(op >>> 3) & 7] + r[(op >>> 6) & 7] | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000 && !(address & 3)) {
            sram32[offset >>> 2] = r[op & 7];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, true);
            this.store32(address, r[op & 7]);
            budget = this.budget;
          }
          break;
        }
        // STRH Rt, [Rn, Rm]
        case 0x52: case 0x53: {
          const address = r[(op >>> 3) & 7] + r[(op >>> 6) & 7] | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000 && !(address & 1)) {
            sram16[offset >>> 1] = r[op & 7];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, true);
            this.store16(address, r[op & 7]);
            budget = this.budget;
          }
          break;
        }
        // STRB Rt, [Rn, Rm]
        case 0x54: case 0x55: {
          const address = r[(op >>> 3) & 7] + r[(op >>> 6) & 7] | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000) {
            sram8[offset] = r[op & 7];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, true);
            this.store8(address, r[op & 7]);
            budget = this.budget;
          }
          break;
        }
        // LDRSB Rt, [Rn, Rm]
        case 0x56: case 0x57: {
          const address = r[(op >>> 3) & 7] + r[(op >>> 6) & 7] | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000) {
            r[op & 7] = (sram8[offset] << 24) >> 24;
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, false);
            r[op & 7] = (this.load8(address) << 24) >> 24;
            budget = this.budget;
          }
          break;
        }
        // LDR Rt, [Rn, Rm]
        case 0x58: case 0x59: {
          const address = r[(op >>> 3) & 7] + r[(op >>> 6) & 7] | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000 && !(address & 3)) {
            r[op & 7] = sram32[offset >>> 2];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, false);
            r[op & 7] = this.load32(address);
            budget = this.budget;
          }
          break;
        }
        // LDRH Rt, [Rn, Rm]
        case 0x5a: case 0x5b: {
          const address = r[(op >>> 3) & 7] + r[(op >>> 6) & 7] | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000 && !(address & 1)) {
            r[op & 7] = sram16[offset >>> 1];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, false);
            r[op & 7] = this.load16(address);
            budget = this.budget;
          }
          break;
        }
        // LDRB Rt, [Rn, Rm]
        case 0x5c: case 0x5d: {
          const address = r[(op >>> 3) & 7] + r[(op >>> 6) & 7] | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000) {
            r[op & 7] = sram8[offset];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, false);
            r[op & 7] = this.load8(address);
            budget = this.budget;
          }
          break;
        }
        // LDRSH Rt, [Rn, Rm]
        case 0x5e: case 0x5f: {
          const address = r[(op >>> 3) & 7] + r[(op >>> 6) & 7] | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000 && !(address & 1)) {
            r[op & 7] = (sram16[offset >>> 1] << 16) >> 16;
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, false);
            r[op & 7] = (this.load16(address) << 16) >> 16;
            budget = this.budget;
          }
          break;
        }
        // STR Rt, [Rn, #imm5]
        case 0x60: case 0x61: case 0x62: case 0x63: case 0x64: case 0x65: case 0x66: case 0x67: {
          const address = r[(op >>> 3) & 7] + ((op >>> 4) & 0x7c) | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000 && !(address & 3)) {
            sram32[offset >>> 2] = r[op & 7];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, true);
            this.store32(address, r[op & 7]);
            budget = this.budget;
          }
          break;
        }
        // LDR Rt, [Rn, #imm5]
        case 0x68: case 0x69: case 0x6a: case 0x6b: case 0x6c: case 0x6d: case 0x6e: case 0x6f: {
          const address = r[(op >>> 3) & 7] + ((op >>> 4) & 0x7c) | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000 && !(address & 3)) {
            r[op & 7] = sram32[offset >>> 2];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, false);
            r[op & 7] = this.load32(address);
            budget = this.budget;
          }
          break;
        }
        // STRB Rt, [Rn, #imm5]
        case 0x70: case 0x71: case 0x72: case 0x73: case 0x74: case 0x75: case 0x76: case 0x77: {
          const address = r[(op >>> 3) & 7] + ((op >>> 6) & 31) | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000) {
            sram8[offset] = r[op & 7];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, true);
            this.store8(address, r[op & 7]);
            budget = this.budget;
          }
          break;
        }
        // LDRB Rt, [Rn, #imm5]
        case 0x78: case 0x79: case 0x7a: case 0x7b: case 0x7c: case 0x7d: case 0x7e: case 0x7f: {
          const address = r[(op >>> 3) & 7] + ((op >>> 6) & 31) | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000) {
            r[op & 7] = sram8[offset];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, false);
            r[op & 7] = this.load8(address);
            budget = this.budget;
          }
          break;
        }
        // STRH Rt, [Rn, #imm5]
        case 0x80: case 0x81: case 0x82: case 0x83: case 0x84: case 0x85: case 0x86: case 0x87: {
          const address = r[(op >>> 3) & 7] + ((op >>> 5) & 0x3e) | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000 && !(address & 1)) {
            sram16[offset >>> 1] = r[op & 7];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, true);
            this.store16(address, r[op & 7]);
            budget = this.budget;
          }
          break;
        }
        // LDRH Rt, [Rn, #imm5]
        case 0x88: case 0x89: case 0x8a: case 0x8b: case 0x8c: case 0x8d: case 0x8e: case 0x8f: {
          const address = r[(op >>> 3) & 7] + ((op >>> 5) & 0x3e) | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000 && !(address & 1)) {
            r[op & 7] = sram16[offset >>> 1];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, false);
            r[op & 7] = this.load16(address);
            budget = this.budget;
          }
          break;
        }
        // STR Rt, [SP, #imm8]
        case 0x90: case 0x91: case 0x92: case 0x93: case 0x94: case 0x95: case 0x96: case 0x97: {
          const address = r[13] + ((op & 0xff) << 2) | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000) {
            sram32[offset >>> 2] = r[(op >>> 8) & 7];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, true);
            this.store32(address, r[(op >>> 8) & 7]);
            budget = this.budget;
          }
          break;
        }
        // LDR Rt, [SP, #imm8]
        case 0x98: case 0x99: case 0x9a: case 0x9b: case 0x9c: case 0x9d: case 0x9e: case 0x9f: {
          const address = r[13] + ((op & 0xff) << 2) | 0;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000) {
            r[(op >>> 8) & 7] = sram32[offset >>> 2];
            budget--;
          } else {
            this.budget = budget - CortexM0Plus.accessCycles(address, false);
            r[(op >>> 8) & 7] = this.load32(address);
            budget = this.budget;
          }
          break;
        }
        // ADR Rd, #imm8
        case 0xa0: case 0xa1: case 0xa2: case 0xa3: case 0xa4: case 0xa5: case 0xa6: case 0xa7:
          r[(op >>> 8) & 7] = ((pc + 2) & ~3) + ((op & 0xff) << 2);
          break;
        // ADD Rd, SP, #imm8
        case 0xa8: case 0xa9: case 0xaa: case 0xab: case 0xac: case 0xad: case 0xae: case 0xaf:
          r[(op >>> 8) & 7] = r[13] + ((op & 0xff) << 2);
          break;
        // ADD SP, #imm7 and SUB SP, #imm7
        case 0xb0:
          r[13] += op & 0x80 ? -((op & 0x7f) << 2) : (op & 0x7f) << 2;
          break;
        // SXTH, SXTB, UXTH, UXTB
        case 0xb2: {
          const value = r[(op >>> 3) & 7];
          switch ((op >>> 6) & 3) {
            case 0:
              r[op & 7] = (value << 16) >> 16;
              break;
            case 1:
              r[op & 7] = (value << 24) >> 24;
              break;
            case 2:
              r[op & 7] = value & 0xffff;
              break;
            case 3:
              r[op & 7] = value & 0xff;
              break;
          }
          break;
        }
        // PUSH
        case 0xb4: case 0xb5: {
          const count = bitCount[op & 0xff] + ((op >>> 8) & 1);
          let address = (r[13] - 4 * count) | 0;
          r[13] = address;
          budget -= count;
          const offset = address - SRAM >>> 0;
          if (offset < 0x42000) {
            let at = offset >>> 2;
            for (let i = 0; i < 8; i++) {
              if (op & (1 << i)) {
                sram32[at++] = r[i];
              }
            }
            if (op & 0x100) {
              sram32[at] = r[14];
            }
          } else {
            this.budget = budget;
            this.fault(`stack pointer 0x${(address >>> 0).toString(16)} outside the RAM`);
            budget = this.budget;
          }
          break;
        }
        // CPSIE i, CPSID i
        case 0xb6:
          this.primask = (op >>> 4) & 1;
          if (!this.primask) {
            this.budget = budget;
            this.pause();
            budget = 0;
          }
          break;
        // REV, REV16, REVSH
        case 0xba: {
          const value = r[(op >>> 3) & 7];
          const swapped = ((value >>> 8) & 0x00ff00ff) | ((value << 8) & 0xff00ff00);
          switch ((op >>> 6) & 3) {
            case 0:
              r[op & 7] = (swapped >>> 16) | (swapped << 16);
              break;
            case 1:
              r[op & 7] = swapped;
              break;
            case 3:
              r[op & 7] = (swapped << 16) >> 16;
              break;
          }
          break;
        }
        // POP
        case 0xbc: case 0xbd: {
          const offset = r[13] - SRAM >>> 0;
          if (offset >= 0x42000) {
            this.budget = budget;
            this.fault(`stack pointer 0x${(r[13] >>> 0).toString(16)} outside the RAM`);
            budget = this.budget;
            break;
          }
          let at = offset >>> 2;
          for (let i = 0; i < 8; i++) {
            if (op & (1 << i)) {
              r[i] = sram32[at++];
            }
          }
          if (op & 0x100) {
            const target = sram32[at++];
            r[13] = SRAM + 4 * at;
            budget -= at - (offset >>> 2) + 2;
            if (this.handlerMode && target >>> 28 === 0xf) {
              this.budget = budget;
              this.returnFromException(target);
              ({ budget, nz, carry, overflow } = this);
              pc = r[15];
            } else {
              pc = target & ~1;
            }
          } else {
            r[13] = SRAM + 4 * at;
            budget -= at - (offset >>> 2);
          }
          break;
        }
        // BKPT
        case 0xbe:
          this.budget = budget;
          r[15] = pc;
          this.onBreakpoint(op & 0xff, (pc - 2) >>> 0);
          budget = this.budget;
          break;
        // NOP, YIELD, WFE, WFI, SEV
        case 0xbf:
          if (op === 0xbf20 && this.eventRegistered) {
            this.eventRegistered = false;
            budget--;
          } else if (op === 0xbf20 || op === 0xbf30) {
            this.waiting = true;
            this.budget = budget - 1;
            this.pause();
            budget = 0;
          } else if (op === 0xbf40) {
            this.eventRegistered = true;
          }
          break;
        // STMIA Rn!, {..}
        case 0xc0: case 0xc1: case 0xc2: case 0xc3: case 0xc4: case 0xc5: case 0xc6: case 0xc7: {
          const n = (op >>> 8) & 7;
          let address = r[n];
          this.budget = budget - bitCount[op & 0xff];
          for (let i = 0; i < 8; i++) {
            if (op & (1 << i)) {
              this.store32(address, r[i]);
              address = (address + 4) | 0;
            }
          }
          r[n] = address;
          budget = this.budget;
          break;
        }
        // LDMIA Rn!, {..}: written back unless Rn is in the list
        case 0xc8: case 0xc9: case 0xca: case 0xcb: case 0xcc: case 0xcd: case 0xce: case 0xcf: {
          const n = (op >>> 8) & 7;
          let address = r[n];
          this.budget = budget - bitCount[op & 0xff];
          for (let i = 0; i < 8; i++) {
            if (op & (1 << i)) {
              r[i] = this.load32(address);
              address = (address + 4) | 0;
            }
          }
          if (!(op & (1 << n))) {
            r[n] = address;
          }
          budget = this.budget;
          break;
        }
        // B<cond> label
        case 0xd0: // EQ
          if (nz === 0) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xd1: // NE
          if (nz !== 0) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xd2: // CS
          if (carry !== 0) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xd3: // CC
          if (carry === 0) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xd4: // MI
          if (nz < 0) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xd5: // PL
          if (nz >= 0) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xd6: // VS
          if (overflow !== 0) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xd7: // VC
          if (overflow === 0) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xd8: // HI
          if (carry !== 0 && nz !== 0) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xd9: // LS
          if (carry === 0 || nz === 0) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xda: // GE
          if (nz >>> 31 === overflow) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xdb: // LT
          if (nz >>> 31 !== overflow) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xdc: // GT
          if (nz !== 0 && nz >>> 31 === overflow) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        case 0xdd: // LE
          if (nz === 0 || nz >>> 31 !== overflow) {
            pc += ((op << 24) >> 23) + 2;
            budget--;
          }
          break;
        // SVC
        case 0xdf:
          this.pendingSVCall = true;
          this.budget = budget;
          this.pause();
          budget = 0;
          break;
        // B label
        case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe4: case 0xe5: case 0xe6: case 0xe7:
          pc += ((op << 21) >> 20) + 2;
          budget--;
          break;
        // 32-bit instructions: BL, MSR, MRS, barriers
        case 0xf0: case 0xf1: case 0xf2: case 0xf3: case 0xf4: case 0xf5: case 0xf6: case 0xf7: {
          const op2 = code[index + 1];
          pc = (pc + 2) | 0;
          budget -= 2;
          if ((op2 & 0xd000) === 0xd000) {
            const s = (op >>> 10) & 1;
            const i1 = ~((op2 >>> 13) ^ s) & 1;
            const i2 = ~((op2 >>> 11) ^ s) & 1;
            const offset = (-s << 24) | (i1 << 23) | (i2 << 22) | ((op & 0x3ff) << 12) | ((op2 & 0x7ff) << 1);
            r[14] = pc | 1;
            pc = (pc + offset) | 0;
          } else if ((op & 0xfff0) === 0xf380 && op2 >>> 8 === 0x88) {
            this.budget = budget;
            this.nz = nz;
            this.carry = carry;
            this.overflow = overflow;
            this.writeSpecial(op2 & 0xff, r[op & 15]);
            ({ budget, nz, carry, overflow } = this);
          } else if (op === 0xf3ef && op2 >>> 12 === 8) {
            this.nz = nz;
            this.carry = carry;
            this.overflow = overflow;
            r[(op2 >>> 8) & 15] = this.readSpecial(op2 & 0xff);
          } else if (op !== 0xf3bf) {
            this.budget = budget;
            this.fault(`undefined instruction 0x${op.toString(16)} 0x${op2.toString(16)} before 0x${(pc >>> 0).toString(16)}`);
            budget = this.budget;
          }
          break;
        }
        default:
          this.budget = budget;
          this.fault(`undefined instruction 0x${op.toString(16)} before 0x${(pc >>> 0).toString(16)}`);
          budget = this.budget;
      }
    }
    r[15] = pc;
    this.budget = budget;
    this.nz = nz;
    this.carry = carry;
    this.overflow = overflow;
  }
}
