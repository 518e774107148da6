// The emulated Pico as a serial port: its USB serial on a TCP socket, a control channel on another one.
//
//   node bridge.mjs BOOTROM FIRMWARE STATE [PORT]
//
// STATE is a folder: flash.bin is the board's flash, control.json says where the control channel is. Prints the
// port's address when the board is up; ends when stdin closes, on SIGTERM, and when the board stops for good.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Board } from './board.mjs';
import { ControlServer } from './control.mjs';

const [, , bootrom, firmware, state, port = '0'] = process.argv;
const controlFile = path.join(state, 'control.json');

function quit(code) {
  fs.rmSync(controlFile, { force: true });
  process.exit(code);
}

function fail(error) {
  console.error(`pico-emulated: ${error.message}`);
  quit(1);
}

process.on('SIGTERM', () => quit(0));
process.on('SIGINT', () => quit(0));
process.stdin.on('end', () => quit(0));
process.stdin.on('error', () => quit(0));
process.stdin.resume();

let board;
try {
  board = new Board(bootrom, firmware, path.join(state, 'flash.bin'));
} catch (error) {
  fail(error);
}
const serial = net.createServer((socket) => board.connect(socket));
const control = new ControlServer(board);

board.onUp = () => console.log(`socket://127.0.0.1:${serial.address().port}`);
board.onStop = (reason) => {
  console.error(`pico-emulated: ${reason}`);
  quit(3);
};

serial.on('error', fail);
serial.listen({ host: '127.0.0.1', port: Number(port) }, () => {
  control.listen((controlPort) => {
    const about = { pid: process.pid, serial: serial.address().port, control: controlPort };
    fs.writeFileSync(controlFile, `${JSON.stringify(about)}\n`);
    board.powerOn();
  });
});
