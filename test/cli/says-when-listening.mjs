// Loaded before `keyhole`: says on stderr whenever the process opens a port.
import { Server } from 'node:net';
import process from 'node:process';

const { listen } = Server.prototype;
Server.prototype.listen = function (...args) {
  process.stderr.write('a port was opened\n');
  return listen.apply(this, args);
};
