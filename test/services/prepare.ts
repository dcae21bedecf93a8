import findServices from './global.ts';

/** `npm run services`: finds or builds the services that the tests need, before any test runs. */
await findServices();
