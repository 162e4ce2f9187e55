// What the process itself costs: memory, processor time, and how late the event loop is.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type { Meter } from '@opentelemetry/api';

const RESOLUTION_MS = 10;

/** How much later than its time a timer fires, since it was asked last; beside the longest, the usual percentiles. */
const QUANTILES = { '0.5': 50, '0.99': 99, '1': 100 } as const;

/** Names as Prometheus's own clients have them. Ends with the function it returns. */
export function measureProcess(meter: Meter): () => void {
  meter
    .createObservableGauge('process_resident_memory_bytes', { description: 'resident memory' })
    .addCallback((result) => {
      result.observe(process.memoryUsage.rss());
    });
  meter
    .createObservableCounter('process_cpu_seconds', { description: 'processor time, of user and system' })
    .addCallback((result) => {
      const { user, system } = process.cpuUsage();
      result.observe((user + system) / 1e6);
    });
  meter
    .createObservableGauge('process_start_time_seconds', { description: 'start, since the epoch' })
    .addCallback((result) => {
      result.observe(Math.round(Date.now() / 1000 - process.uptime()));
    });
  return measureDelay(meter);
}

function measureDelay(meter: Meter): () => void {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  meter
    .createObservableGauge('keyhole_event_loop_delay_seconds', {
      description: 'how late timers fire, since the last scrape',
    })
    .addCallback(async (result) => {
      await pause(1); // a delay that ended just now is counted when its timer fires
      for (const [quantile, percentile] of Object.entries(QUANTILES)) {
        const seconds = (delays.percentile(percentile) / 1e6 - RESOLUTION_MS) / 1000;
        result.observe(delays.count === 0 ? 0 : Math.max(0, seconds), { quantile });
      }
      delays.reset();
    });
  return () => {
    delays.disable();
  };
}
