#!/usr/bin/env node
// `keyhole`: runs a command and ends with its exit code.
import { runCommand } from './program.js';

process.exitCode = await runCommand(process.argv.slice(2));
setTimeout(() => process.exit(), 2_000).unref(); // whatever a library left open must not keep a stopped process
