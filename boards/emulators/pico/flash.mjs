// The flash chip: 2 MB that survive in a file. Every erase and program goes to the file before the core goes on, so
// that the file is what a real chip would hold, whenever and however the emulator ends.
import fs from 'node:fs';

const SIZE = 2 << 20;
const SECTOR = 4096;
const PAGE = 256;
const ERASE_NANOS = 45e6; // per sector and per page, typical values of the Pico's W25Q16JV
const PROGRAM_NANOS = 0.4e6;
const FILESYSTEM = SIZE - 1408 * 1024; // where the firmware for RPI_PICO keeps its files

export class PowerCut extends Error {}

export class Flash {
  // `file` is made from the firmware image if it is not there; if it is, its firmware part follows the image.
  constructor(file, firmware) {
    if (firmware.length > FILESYSTEM) {
      throw new Error(`the firmware image has ${firmware.length} bytes, the Pico has room for ${FILESYSTEM}`);
    }
    this.bytes = new Uint8Array(16 << 20).fill(0xff); // the address window
    this.counters = { erased_sectors: 0, programmed_pages: 0 };
    this.cut = null;
    this.bytes.set(firmware);
    const kept = fs.existsSync(file) ? fs.readFileSync(file) : Buffer.alloc(0);
    if (kept.length === SIZE) {
      this.bytes.set(kept.subarray(FILESYSTEM), FILESYSTEM);
    }
    if (kept.length !== SIZE || !kept.subarray(0, FILESYSTEM).equals(this.bytes.subarray(0, FILESYSTEM))) {
      fs.writeFileSync(`${file}.new`, this.bytes.subarray(0, SIZE));
      fs.renameSync(`${file}.new`, file);
    }
    this.file = fs.openSync(file, 'r+');
  }

  // After `operations` more erased sectors or programmed pages, power fails when the part `fraction` of the next one
  // is done.
  cutAfter(operations, fraction) {
    this.cut = { operations, fraction };
  }

  // Both return the nanoseconds that the chip takes.
  erase(offset, length) {
    const sectors = Math.ceil(length / SECTOR);
    for (let sector = 0; sector < sectors; sector++) {
      this.change(offset + sector * SECTOR, new Uint8Array(SECTOR).fill(0xff), true);
      this.counters.erased_sectors++;
    }
    return sectors * ERASE_NANOS;
  }

  program(offset, data) {
    const pages = Math.ceil(data.length / PAGE);
    for (let page = 0; page < pages; page++) {
      this.change(offset + page * PAGE, data.subarray(page * PAGE, (page + 1) * PAGE), false);
      this.counters.programmed_pages++;
    }
    return pages * PROGRAM_NANOS;
  }

  change(offset, data, erase) {
    const { cut } = this;
    if (cut && cut.operations-- === 0) {
      this.cut = null;
      this.write(offset, data.subarray(0, Math.round(cut.fraction * data.length)), erase);
      throw new PowerCut();
    }
    this.write(offset, data, erase);
  }

  // Programming turns ones into zeros, erasing all into ones.
  write(offset, data, erase) {
    if (offset + data.length > SIZE) {
      return;
    }
    for (let i = 0; i < data.length; i++) {
      this.bytes[offset + i] = erase ? 0xff : this.bytes[offset + i] & data[i];
    }
    fs.writeSync(this.file, this.bytes, offset, data.length, offset);
  }
}
