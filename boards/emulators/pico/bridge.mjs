// The emulated Pico as a serial port, and the control channel on a TCP socket.
//
//   node bridge.mjs BOOTROM FIRMWARE STATE pty FD NAME      on the pseudo-terminal whose master is FD
//   node bridge.mjs BOOTROM FIRMWARE STATE tcp PORT         on a TCP socket
//
// STATE is a folder: flash.bin is the board's flash, control.json says where the control channel is. Prints the
// port's name when the board is up; ends when stdin closes, on SIGTERM, and when the board stops for good.
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tty from 'node:tty';
import { Board } from './board.mjs';
import { ControlServer } from './control.mjs';

const [, , bootrom, firmware, state, kind, where, terminal] = process.argv;
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
board.onStop = (reason) => {
  console.error(`pico-emulated: ${reason}`);
  quit(3);
};

function start(name) {
  board.onUp = () => console.log(name);
  const control = new ControlServer(board);
  control.listen((port) => {
    fs.writeFileSync(controlFile, `${JSON.stringify({ pid: process.pid, control: port })}\n`);
    board.powerOn();
  });
}

if (kind === 'pty') {
  board.connect(new tty.ReadStream(Number(where)), true);
  start(terminal);
} else {
  const server = net.createServer({ noDelay: true }, (socket) => board.connect(socket));
  server.on('error', fail);
  server.listen({ host: '127.0.0.1', port: Number(where) }, () => start(`socket://127.0.0.1:${server.address().port}`));
}
