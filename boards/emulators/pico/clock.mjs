// Emulated time: it follows the core's cycle counter, and jumps ahead while the core sleeps. The alarms have the
// interface that rp2040js's peripherals expect of their clock.

class Alarm {
  constructor(clock, callback) {
    this.clock = clock;
    this.callback = callback;
    this.nanos = 0;
    this.scheduled = false;
  }

  schedule(deltaNanos) {
    this.cancel();
    this.nanos = this.clock.nanos + deltaNanos;
    this.scheduled = true;
    this.clock.insert(this);
  }

  cancel() {
    if (this.scheduled) {
      this.scheduled = false;
      this.clock.remove(this);
    }
  }
}

export class Clock {
  constructor() {
    this.core = null;
    this.alarms = []; // ascending in time
    this.nanosPerCycle = 8;
    this.baseNanos = 0; // at baseCycles
    this.baseCycles = 0;
  }

  get nanos() {
    return this.core === null ? 0 : this.baseNanos + (this.core.cycles - this.baseCycles) * this.nanosPerCycle;
  }

  get micros() {
    return this.nanos / 1000;
  }

  set frequency(hertz) {
    this.skip(0);
    this.nanosPerCycle = 1e9 / hertz;
  }

  // Lets time pass without the core.
  skip(nanos) {
    this.baseNanos = this.nanos + nanos;
    this.baseCycles = this.core.cycles;
  }

  // The core cycle at or after which the next alarm is due
  get nextAlarmCycle() {
    if (!this.alarms.length) {
      return Infinity;
    }
    return this.baseCycles + Math.ceil((this.alarms[0].nanos - this.baseNanos) / this.nanosPerCycle);
  }

  get nanosToNextAlarm() {
    return this.alarms.length ? Math.max(this.alarms[0].nanos - this.nanos, 0) : Infinity;
  }

  ring() {
    const now = this.nanos;
    // one that is set for now by another has its turn when the core has moved on
    for (let count = this.alarms.length; count > 0 && this.alarms.length && this.alarms[0].nanos <= now; count--) {
      const alarm = this.alarms.shift();
      alarm.scheduled = false;
      alarm.callback();
    }
  }

  createAlarm(callback) {
    return new Alarm(this, callback);
  }

  insert(alarm) {
    const later = this.alarms.findIndex((other) => other.nanos > alarm.nanos);
    this.alarms.splice(later < 0 ? this.alarms.length : later, 0, alarm);
    if (this.alarms[0] === alarm) {
      this.core?.pause();
    }
  }

  remove(alarm) {
    this.alarms.splice(this.alarms.indexOf(alarm), 1);
  }
}
