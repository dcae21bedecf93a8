import { MemoryQuestions } from '../../src/queue/memory-questions.ts';
import { describeQuestions, errorLog, keepMs, type Answer, type Question } from './questions-contract.ts';

describeQuestions(async () => {
  const { log, errors } = errorLog();
  return { questions: new MemoryQuestions<Question, Answer>({ log, keepMs }), errors };
});
