// A process that appends records without end and says each one's id once it is durable; its parent kills it.
import { openAuditFile } from '../../../src/access/audit/file-audit-log.js';
import { auditEvent, WRITER } from './events.js';

const log = await openAuditFile(process.argv[2] ?? '', { writer: WRITER });
for (let index = 0; ; index += 1) {
  await log.append(auditEvent(`${process.pid}-${index}`));
  process.stdout.write(`${process.pid}-${index}\n`);
}
