// Runs pieces of code on the emulated core alone. stdin: a JSON list of {code: [halfwords], registers: {n: value},
// flags: NZCV, memory: {address: word}}; stdout: the same list with registers, flags, memory and cycles after it.
import { readFileSync } from 'node:fs';
import { CortexM0Plus } from '../../boards/emulators/pico/cortex_m0plus.mjs';

const CODE = 0x20000000;
const rp2040 = {
  bootrom: new Uint32Array(4096),
  sram: new Uint8Array(264 * 1024),
  flash: new Uint8Array(16),
  findPeripheral: (address) => (address >>> 28 === 4 ? {} : undefined),
  readUint32: () => 0x12345678,
  writeUint32: () => {},
};

function run({ code, registers, flags, memory = {} }) {
  const core = new CortexM0Plus(rp2040);
  core.mapMemory();
  rp2040.sram.fill(0);
  new Uint16Array(rp2040.sram.buffer).set([...code, 0xbe00]); // BKPT ends it
  for (const [address, word] of Object.entries(memory)) {
    core.sram32[(address - CODE) >> 2] = word;
  }
  for (const [register, value] of Object.entries(registers)) {
    core.registers[register] = value;
  }
  core.psr = flags << 28;
  core.registers[15] = CODE;
  let cycles = 0;
  core.onBreakpoint = () => {
    cycles = core.cycles - 1;
    core.pause();
  };
  core.run(1000);
  const words = Object.fromEntries(Object.keys(memory).map((at) => [at, core.sram32[(at - CODE) >> 2] >>> 0]));
  return {
    registers: [...core.registers].map((value) => value >>> 0),
    flags: core.psr >>> 28,
    memory: words,
    cycles,
    fault: core.faultReason,
  };
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(run)));
