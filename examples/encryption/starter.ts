// `npm run starter -- NAMESPACE`: starts the workflow with a sealed input and prints its result.
import { Client, Connection } from '@temporalio/client';
import { KeyholePlugin } from 'temporal-keyhole';
import { command } from './command.js';
import { connectBy, openCodec, TASK_QUEUE } from './connection.js';
import type { Workflow } from './workflows.js';

await command('starter', async (namespace) => {
  const plugins = [new KeyholePlugin({ codec: openCodec() })];
  const connection = await connectBy((options) => Connection.connect(options));
  try {
    const client = new Client({ connection, namespace, plugins });
    const result = await client.workflow.execute<typeof Workflow>('Workflow', {
      taskQueue: TASK_QUEUE,
      workflowId: 'encryption-workflow-id',
      args: ['Temporal'],
    });
    process.stdout.write(`Workflow result: ${result}\n`);
  } finally {
    await connection.close();
  }
});
