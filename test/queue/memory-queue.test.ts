import { describe } from 'vitest';
import { MemoryQueue } from '../../src/queue/memory-queue.ts';
import { queueContract } from './contract.ts';

describe('the queue in memory', () => {
  queueContract((_space, options) => new MemoryQueue(options));
});
