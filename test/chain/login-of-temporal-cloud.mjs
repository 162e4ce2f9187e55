// Loaded before `keyhole serve`: what it sends to login.tmprl.cloud reaches the test's issuer, TLS checks included.
import process from 'node:process';
import tls from 'node:tls';

const connect = tls.connect;
tls.connect = (options, ...more) => {
  if (options.host !== 'login.tmprl.cloud') return connect(options, ...more);
  return connect({ ...options, host: 'localhost', port: Number(process.env.TEST_ISSUER_PORT) }, ...more);
};
