// The computer's end of the USB cable: it enumerates the board and carries bytes to and from its CDC serial port.
// It works on the controller's buffers as a host does: an endpoint is served when the board has armed it and the
// other side has, or takes, data; otherwise it stays armed. That is the flow control, in both directions.
import { createSetupPacket, getDescriptorPacket, setDeviceAddressPacket, setDeviceConfigurationPacket } from 'rp2040js';

const BUFFER_CONTROL = 0x80; // in the USB RAM: 8 bytes per endpoint, IN then OUT
const ENDPOINT_CONTROL = 0x08; // the same from endpoint 1
const AVAILABLE = 1 << 10;
const FULL = 1 << 15;
const LENGTH = 0x3ff;
const DOUBLE_BUFFERED = 1 << 30;
const SECOND_BUFFER = 64; // offset of a double buffered endpoint's second buffer
const PACKET_NANOS = 53e3; // 19 bulk packets in a frame of 1 ms
const CONFIGURATION = 2; // descriptor types
const INTERFACE = 4;
const ENDPOINT = 5;
const CDC_CONTROL = 2; // interface classes
const CDC_DATA = 10;
const SET_CONTROL_LINE_STATE = 0x22;
const DTR_AND_RTS = 3;

export class UsbHost {
  // onData(bytes) takes what the board sends; onReady() is called when the board is enumerated.
  constructor(mcu, { onData, onReady }) {
    this.mcu = mcu;
    this.onData = onData;
    this.onReady = onReady;
    this.transfers = []; // control transfers; the first one is under way
    this.received = []; // its data
    this.toBoard = []; // chunks of bytes
    this.armed = new Map(); // OUT endpoint -> buffer control register
    this.holding = []; // IN buffers that wait because taking is false
    this.taking = true;
    this.ready = false;
    this.dataIn = this.dataOut = -1;
    this.session = 0; // counts bus resets: what was under way before one is void
    this.statusWanted = false; // a control transfer from the board waits for our empty packet

    const usb = mcu.usbCtrl;
    usb.DPRAMUpdated = (offset, value) => this.bufferControl(offset, value);
    usb.onUSBEnabled = () => usb.resetDevice();
    usb.onResetReceived = () => this.enumerate();
  }

  enumerate() {
    this.session++;
    this.transfers = [];
    this.armed.clear();
    this.holding = [];
    this.ready = this.statusWanted = false;
    this.control(setDeviceAddressPacket(1));
    this.control(getDescriptorPacket(CONFIGURATION, 9), (head) => {
      this.control(getDescriptorPacket(CONFIGURATION, head[2] | (head[3] << 8)), (all) => {
        this.findSerialPort(all);
        this.control(setDeviceConfigurationPacket(1), () => {
          this.ready = true;
          this.onReady();
        });
      });
    });
  }

  findSerialPort(descriptors) {
    let interfaceClass = 0;
    for (let at = 0; at + 1 < descriptors.length && descriptors[at]; at += descriptors[at]) {
      const type = descriptors[at + 1];
      if (type === INTERFACE) {
        interfaceClass = descriptors[at + 5];
        if (interfaceClass === CDC_CONTROL) {
          this.controlInterface = descriptors[at + 2];
        }
      } else if (type === ENDPOINT && interfaceClass === CDC_DATA) {
        const address = descriptors[at + 2];
        if (address & 0x80) {
          this.dataIn = address & 15;
        } else {
          this.dataOut = address & 15;
        }
      }
    }
  }

  // Whether a program has the port open (DTR)
  setOpen(open) {
    this.control(
      createSetupPacket({
        dataDirection: 0,
        type: 1,
        recipient: 1,
        bRequest: SET_CONTROL_LINE_STATE,
        wValue: open ? DTR_AND_RTS : 0,
        wIndex: this.controlInterface,
        wLength: 0,
      }),
    );
  }

  send(bytes) {
    this.toBoard.push(bytes);
    this.serveOut(this.dataOut);
  }

  get pendingBytes() {
    return this.toBoard.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  // With false the board's bytes wait in its buffers.
  setTaking(taking) {
    this.taking = taking;
    if (taking) {
      this.holding.splice(0).forEach((deliver) => deliver());
    }
  }

  control(setup, done = () => {}) {
    this.transfers.push({ setup, done });
    if (this.transfers.length === 1) {
      this.startTransfer();
    }
  }

  startTransfer() {
    this.received = [];
    this.mcu.usbCtrl.sendSetupPacket(this.transfers[0].setup);
  }

  finishTransfer() {
    this.transfers[0].done(this.received);
    this.transfers.shift();
    if (this.transfers.length) {
      this.later(() => this.startTransfer());
    }
  }

  later(action, nanos = PACKET_NANOS) {
    const { session } = this;
    const alarm = this.mcu.clock.createAlarm(() => {
      if (session === this.session) {
        action();
      }
    });
    alarm.schedule(nanos);
  }

  // ---- the controller's side ----

  // The board has written a buffer control register.
  bufferControl(offset, value) {
    if (offset < BUFFER_CONTROL || offset >= BUFFER_CONTROL + 128 || !(value & (AVAILABLE | (AVAILABLE << 16)))) {
      return;
    }
    const endpoint = (offset - BUFFER_CONTROL) >> 3;
    if (offset & 4) {
      this.armed.set(endpoint, offset);
      this.serveOut(endpoint);
    } else {
      this.serveIn(endpoint, offset, value);
    }
  }

  bufferAddress(endpoint, out) {
    return endpoint === 0 ? 0x100 : this.endpointControl(endpoint, out) & 0xffc0;
  }

  endpointControl(endpoint, out) {
    return this.mcu.usbDPRAMView.getUint32(ENDPOINT_CONTROL + 8 * (endpoint - 1) + (out ? 4 : 0), true);
  }

  serveIn(endpoint, offset, value) {
    const address = this.bufferAddress(endpoint, false);
    const packets = [];
    if (value & AVAILABLE) {
      packets.push(this.mcu.usbDPRAM.slice(address, address + (value & LENGTH)));
    }
    if (endpoint && this.endpointControl(endpoint, false) & DOUBLE_BUFFERED && (value >>> 16) & AVAILABLE) {
      const second = address + SECOND_BUFFER;
      packets.push(this.mcu.usbDPRAM.slice(second, second + ((value >>> 16) & LENGTH)));
    }
    const deliver = () => {
      const sent = AVAILABLE | FULL | (AVAILABLE << 16) | (FULL << 16);
      const now = this.mcu.usbDPRAMView.getUint32(offset, true);
      this.mcu.usbDPRAMView.setUint32(offset, now & ~sent, true);
      this.mcu.usbCtrl.indicateBufferReady(endpoint, false);
      packets.forEach((packet) => this.take(endpoint, packet));
    };
    this.later(() => {
      if (endpoint === this.dataIn && !this.taking) {
        this.holding.push(deliver);
      } else {
        deliver();
      }
    }, PACKET_NANOS * packets.length);
  }

  take(endpoint, packet) {
    if (endpoint === this.dataIn) {
      this.onData(packet);
    } else if (endpoint === 0 && this.transfers.length) {
      this.takeControlData(packet);
    }
  }

  takeControlData(packet) {
    const { setup } = this.transfers[0];
    const fromBoard = setup[0] & 0x80;
    this.received.push(...packet);
    if (!fromBoard) {
      this.finishTransfer(); // this was its status
    } else if (packet.length < 64 || this.received.length >= (setup[6] | (setup[7] << 8))) {
      this.statusWanted = true;
      this.serveOut(0);
    }
  }

  // The endpoint gets a packet if it is armed and there is one for it.
  serveOut(endpoint) {
    const offset = this.armed.get(endpoint);
    if (offset === undefined) {
      return;
    }
    if (endpoint === 0) {
      if (this.statusWanted) {
        this.statusWanted = false;
        this.armed.delete(0);
        this.later(() => {
          this.fill(0, offset, new Uint8Array(0));
          this.finishTransfer();
        });
      }
    } else if (endpoint === this.dataOut && this.toBoard.length) {
      this.armed.delete(endpoint);
      this.later(() => this.fill(endpoint, offset, this.nextPacket()));
    }
  }

  nextPacket() {
    const packet = [];
    while (this.toBoard.length && packet.length < 64) {
      const chunk = this.toBoard.shift();
      const room = 64 - packet.length;
      packet.push(...chunk.subarray(0, room));
      if (chunk.length > room) {
        this.toBoard.unshift(chunk.subarray(room));
      }
    }
    return Uint8Array.from(packet);
  }

  fill(endpoint, offset, packet) {
    const value = this.mcu.usbDPRAMView.getUint32(offset, true);
    this.mcu.usbDPRAM.set(packet, this.bufferAddress(endpoint, true));
    this.mcu.usbDPRAMView.setUint32(offset, (value & ~(LENGTH | AVAILABLE)) | FULL | packet.length, true);
    this.mcu.usbCtrl.indicateBufferReady(endpoint, true);
  }
}
