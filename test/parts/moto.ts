// moto: an emulator of AWS KMS with ReEncrypt and rotation; its keys live as long as the process.
import { pathOf } from './catalogue.js';
import { answersOk, freePort, spawnPart, type Stoppable } from './spawn-part.js';

export interface Moto extends Stoppable {
  /** For `AWS_ENDPOINT_URL_KMS`. Any credentials and any region will do. */
  readonly url: string;
  /** Of its process, for a test that pauses it. */
  readonly pid: number;
}

export async function startMoto(): Promise<Moto> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const { pid, stop } = await spawnPart({
    command: pathOf('moto'),
    args: ['-H', '127.0.0.1', '-p', String(port)],
    isReady: (signal) => answersOk(`${url}/moto-api/`, signal),
  });
  return { url, pid, stop };
}
