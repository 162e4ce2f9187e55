// `npm run worker -- NAMESPACE`: runs the workflow; whatever it receives and sends is sealed. Ctrl-C ends it.
import { fileURLToPath } from 'node:url';
import { NativeConnection, Worker } from '@temporalio/worker';
import { KeyholePlugin } from 'temporal-keyhole';
import { command } from './command.js';
import { connectBy, openCodec, TASK_QUEUE } from './connection.js';

await command('worker', async (namespace) => {
  const codec = openCodec();
  await codec.encode([{ metadata: {}, data: new Uint8Array() }], { namespace }); // a missing key is told now
  const connection = await connectBy((options) => NativeConnection.connect(options));
  try {
    const worker = await Worker.create({
      connection,
      namespace,
      taskQueue: TASK_QUEUE,
      workflowsPath: fileURLToPath(new URL('workflows.ts', import.meta.url)),
      plugins: [new KeyholePlugin({ codec })],
    });
    await worker.run();
  } finally {
    await connection.close();
  }
});
