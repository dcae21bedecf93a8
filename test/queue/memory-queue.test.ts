import { describe } from 'vitest';
import { MemoryQueue } from '../../src/queue/memory-queue.ts';
import { queueContract } from './contract.ts';

describe('the queue in the process', () => {
  queueContract((_space, options) => new MemoryQueue(options));
});
