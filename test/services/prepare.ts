import findServices from './global.ts';

/** Implements `npm run services`, which finds or builds the services that the tests need. */
await findServices();
